"""What is published of a metric: its folder as a Space, from which `evaluate.load` takes the module."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from dataset_builder.errors import UserError
from spectrum.hub.answers import Repository
from spectrum.hub.card_merge import Ours, split_card
from spectrum.hub.local_files import LocalFile, scan_folder
from spectrum.hub.plan import CARD, Publication, Remote

_CHECKOUT = "  # in a checkout; from the Hub, the id of this Space"
_NEEDED = (CARD, "app.py", "requirements.txt")
_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "pinned", "license",
    "short_description",
}  # fmt: skip


def metric_publication(folder: Path, repo_id: str) -> Publication:
    """What is published of the metric in ``folder``, such as ``metrics/spectrum_alignment``.

    Args:
        folder: With ``<its name>.py``, the siblings of that module, a card, ``app.py`` and ``requirements.txt``.
        repo_id: Where, ``<org>/<name of the folder>``: `evaluate.load` looks for a module of the repository's name.

    Raises:
        UserError: A file is missing, the repository has another name, or the card is not that of a gradio Space.
    """
    folder = folder.resolve()
    names = [
        name for name in scan_folder(folder) if not any(part.startswith(".") for part in PurePosixPath(name).parts)
    ]
    module = f"{folder.name}.py"
    for needed in (module, *_NEEDED):
        if needed not in names:
            raise UserError(f"folder {str(folder)!r} is no metric: it has no {needed!r}")
    if repo_id.partition("/")[2] != folder.name:
        raise UserError(
            f"a metric is loaded by the name of its module: use '--repo-id {repo_id.partition('/')[0]}/{folder.name}', "
            f"not {repo_id!r}"
        )
    card = (folder / CARD).read_text(encoding="utf-8")
    if split_card(card, f"{str(folder / CARD)!r}")[0].get("sdk") != "gradio":
        raise UserError(f"the card of {str(folder)!r} is not that of a Space: give it 'sdk: gradio'")
    return Publication(
        repository=Repository(repo_id, "space"),
        card=card.replace(_CHECKOUT, "").replace(f'"metrics/{folder.name}"', f'"{repo_id}"'),
        files=tuple(LocalFile(name, folder / name) for name in names if name != CARD),
        ours=_ours,
        owns=_owns,
        message=f"{folder.name}, a metric for evaluate",
        loads=("metric",),
    )


def _owns(name: str, _: Remote) -> bool:
    """The modules beside the app: a metric's folder has no others."""
    path = PurePosixPath(name)
    return path.suffix == ".py" and len(path.parts) == 1


def _ours(_: Remote) -> Ours:
    return Ours(_KEYS, {"tags": lambda tag: False})
