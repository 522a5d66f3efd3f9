"""What is published of a metric: its folder as a Space, from which `evaluate.load` takes the module."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from spectrum_suite.errors import UserError
from spectrum_suite.hub.answers import Repository
from spectrum_suite.hub.card_merge import Ours, split_card
from spectrum_suite.hub.local_files import LocalFile, check_python, left_out, read_text, scan_folder
from spectrum_suite.hub.plan import CARD, Publication, Remote

_CHECKOUT = "  # in a checkout; from the Hub, the id of this Space"
_SENT = {"requirements.txt", "packages.txt", "LICENSE"}
"""What is sent beside the modules: nothing else that lies in the folder, such as an environment, weights or notes."""

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
    names = scan_folder(folder)
    module = f"{folder.name}.py"
    for needed in (module, *_NEEDED):
        if needed not in names:
            raise UserError(f"folder {str(folder)!r} is no metric: it has no {needed!r}")
    if repo_id.partition("/")[2] != folder.name:
        raise UserError(
            f"a metric is loaded by the name of its module: use '--repo-id {repo_id.partition('/')[0]}/{folder.name}', "
            f"not {repo_id!r}"
        )
    card = read_text(folder / CARD)
    if split_card(card, f"{str(folder / CARD)!r}")[0].get("sdk") != "gradio":
        raise UserError(f"the card of {str(folder)!r} is not that of a Space: give it 'sdk: gradio'")
    for name in (module, "app.py"):
        if not (folder / name).stat().st_size:
            raise UserError(f"file {str(folder / name)!r} is empty: write it again")
    sent = {name for name in names if name in _SENT or _is_module(name)}
    for name in sent:
        if name.endswith(".py"):
            check_python(folder / name)
    return Publication(
        repository=Repository(repo_id, "space"),
        card=card.replace(_CHECKOUT, "").replace(f'"metrics/{folder.name}"', f'"{repo_id}"'),
        files=tuple(LocalFile(name, folder / name) for name in names if name in sent),
        ours=_ours,
        owns=_owns,
        message=f"{folder.name}, a metric for evaluate",
        loads=("metric",),
        notes=left_out(names, sent | {CARD}, "not part of a metric"),
    )


def _is_module(name: str) -> bool:
    """Whether a file is one of the modules beside the app: a metric's folder has no others."""
    path = PurePosixPath(name)
    return path.suffix == ".py" and len(path.parts) == 1 and not name.startswith(".")


def _owns(name: str, _: Remote) -> bool:
    return _is_module(name)


def _ours(_: Remote) -> Ours:
    return Ours(_KEYS, {"tags": lambda tag: False})
