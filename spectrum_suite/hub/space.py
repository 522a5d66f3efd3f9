"""What is published of the playground: its folder as a Space, with the part of this project that it runs on.

A Space that fetched this project from elsewhere would change, or break, without a push. So the Space carries the code,
in the folders that it has here: every module that the app imports, directly or not, and no other. What others wrote is
installed by the Space from ``requirements.txt``.
"""

from __future__ import annotations

import json
from modulefinder import ModuleFinder
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_builder.licences import APACHE
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours, split_card
from spectrum_suite.hub.local_files import LocalFile, check_python, left_out, read_text, scan_folder
from spectrum_suite.hub.push_plan import CARD, Publication, Repository
from spectrum_suite.shipped import shipped

_ROOT = Path(__file__).parents[2]
_OURS = ("spectrum_suite", "dataset_builder")
_APP, _REQUIREMENTS = "app.py", "requirements.txt"
_STARTER = "__main__.py"
"""Starts the folder in a checkout, and is not for the Space."""

_PAGE = "spectrum_suite.playground.page"
"""What is imported to verify that the Space has all it needs."""

_CODE = {".py", ".jinja"}
_SENT = _CODE | {".css", ".js"}
"""What is sent of the folder: nothing else in it, such as an environment, weights or notes."""

_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "pinned", "license",
    "short_description",
}  # fmt: skip


def space_publication(folder: Path, repo_id: str, *, base: str | None = None, tuned: str | None = None) -> Publication:
    """What is published of the playground in ``folder``.

    Args:
        folder: With ``app.py``, a card and ``requirements.txt``.
        repo_id: Where, ``<org>/<name>``.
        base: The base model on the Hub that is played with where no variable of the Space says another.
        tuned: The tuned one.

    Raises:
        UserError: A file is missing, the folder holds what must not be published, or the card is not that of a gradio
            Space.
    """
    folder = Path(shipped(folder)).resolve()
    names = scan_folder(folder, _APP, _REQUIREMENTS, CARD, what="a Space")
    card = space_card(folder)
    own = {name for name in names if PurePosixPath(name).suffix in _SENT and not _is_hidden(name)} - {_STARTER}
    for name in own:
        check_python(folder / name)
    return Publication(
        repository=Repository(repo_id, "space"),
        card=card,
        files=(
            LocalFile(_APP, _defaults(base, tuned) + (folder / _APP).read_bytes()),
            *(LocalFile(name, folder / name) for name in sorted(own - {_APP} | {_REQUIREMENTS})),
            LocalFile("LICENSE", APACHE),
            *(LocalFile(path.relative_to(_ROOT).as_posix(), path) for path in carried_code(folder / _APP)),
        ),
        ours=lambda _: Ours(_KEYS),
        owns=lambda name, _: PurePosixPath(name).suffix in _CODE,
        message=f"{folder.name}, with the code that it runs on",
        kind="space",
        expected=(_PAGE,),
        notes=left_out(names, own | {CARD, _REQUIREMENTS, _STARTER}, "not part of a Space"),
        depends_on=tuple(name for name in (base, tuned) if name and not name.startswith("embedded:")),
    )


def space_card(folder: Path) -> str:
    """The card in the folder of a Space.

    Raises:
        UserError: It cannot be read, or is not that of a gradio Space.
    """
    card = read_text(folder / CARD)
    if split_card(card, f"{str(folder / CARD)!r}")[0].get("sdk") != "gradio":
        raise UserError(f"the card of {str(folder)!r} is not that of a Space: give it 'sdk: gradio'")
    return card


class _Finder(ModuleFinder):
    """Looks into our modules alone, and not into the metrics, which are Spaces of their own."""

    def find_module(self, name: str, path: list[str] | None, parent: object = None) -> tuple[Any, str, tuple]:
        """Where a module is, if it is ours."""
        if (path is None and name not in _OURS) or getattr(parent, "__name__", "") == "spectrum_suite.metrics":
            raise ImportError(name)
        return super().find_module(name, path, parent)


def carried_code(app: Path) -> list[Path]:
    """The modules of this project that a program imports, and the templates next to them, sorted."""
    finder = _Finder(path=[str(_ROOT)])
    finder.run_script(str(app))
    modules = {Path(module.__file__) for module in finder.modules.values() if module.__file__} - {app}
    templates = {path for folder in {module.parent for module in modules} for path in folder.glob("*.jinja")}
    return sorted(modules | templates)


def _defaults(base: str | None, tuned: str | None) -> bytes:
    """Lines in front of the program: the models to take where no variable of the Space says another."""
    chosen = {"SPECTRUM_BASE": base, "SPECTRUM_TUNED": tuned}
    lines = [f'os.environ.setdefault("{name}", {json.dumps(value)})\n' for name, value in chosen.items() if value]
    return "".join(["import os\n\n", *lines, "\n"]).encode() if lines else b""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)
