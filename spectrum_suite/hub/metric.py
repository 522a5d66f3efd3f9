"""What is published of a metric: its folder as a Space, from which `evaluate.load` takes the module."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours
from spectrum_suite.hub.local_files import LocalFile, check_python, left_out, scan_folder
from spectrum_suite.hub.push_plan import CARD, Publication, Repository
from spectrum_suite.hub.space import space_card
from spectrum_suite.shipped import shipped

_CHECKOUT = "  # in a checkout; from the Hub, the id of this Space"
_SENT = {"requirements.txt", "packages.txt", "LICENSE"}
"""What is sent besides the modules: nothing else in the folder, such as an environment, weights or notes."""

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
    folder = Path(shipped(folder)).resolve()
    module = f"{folder.name}.py"
    names = scan_folder(folder, module, CARD, "app.py", "requirements.txt", what="a metric")
    if repo_id.partition("/")[2] != folder.name:
        raise UserError(
            f"a metric is loaded by the name of its module: use '--repo_id {repo_id.partition('/')[0]}/{folder.name}', "
            f"not {repo_id!r}"
        )
    card = space_card(folder)
    for name in (module, "app.py"):
        if not (folder / name).stat().st_size:
            raise UserError(f"file {str(folder / name)!r} is empty: write it again")
    sent = {name for name in names if name in _SENT or _is_module(name)}
    for name in sent:
        check_python(folder / name)
    return Publication(
        repository=Repository(repo_id, "space"),
        card=card.replace(_CHECKOUT, "").replace(f'"metrics/{folder.name}"', f'"{repo_id}"'),
        files=tuple(LocalFile(name, folder / name) for name in names if name in sent),
        ours=lambda _: Ours(_KEYS),
        owns=lambda name, _: _is_module(name),
        message=f"{folder.name}, a metric for evaluate",
        kind="metric",
        notes=left_out(names, sent | {CARD}, "not part of a metric"),
    )


def _is_module(name: str) -> bool:
    """Whether a file is one of the modules next to the app: a metric's folder has no others."""
    path = PurePosixPath(name)
    return path.suffix == ".py" and len(path.parts) == 1 and not name.startswith(".")
