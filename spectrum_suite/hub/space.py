"""What is published of the playground: its folder as a Space, with the part of this repository that it runs on.

Nobody can install this project by name, and a Space that fetched it from elsewhere would change, or break, without a
push. So the Space carries the code, in the folders that it has here: every module that the app imports, directly or
not, and no other. What others wrote is installed by the Space from ``requirements.txt``.
"""

from __future__ import annotations

import json
from modulefinder import ModuleFinder
from pathlib import Path, PurePosixPath

from spectrum_suite.errors import UserError
from spectrum_suite.hub.answers import Repository
from spectrum_suite.hub.card_merge import Ours, split_card
from spectrum_suite.hub.local_files import LocalFile, check_python, left_out, read_text, scan_folder
from spectrum_suite.hub.plan import CARD, Publication, Remote

_ROOT = Path(__file__).parents[2]
_APP, _PROGRAM, _REQUIREMENTS = "app.py", "__main__.py", "requirements.txt"
_CODE = {".py", ".jinja"}
_SENT = _CODE | {".css", ".js"}
"""What is sent of the folder: nothing else that lies in it, such as an environment, weights or notes."""

_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "pinned", "license",
    "short_description",
}  # fmt: skip


def space_publication(folder: Path, repo_id: str, *, base: str | None = None, tuned: str | None = None) -> Publication:
    """What is published of the playground in ``folder``.

    Args:
        folder: With ``__main__.py``, ``app.py``, a card and ``requirements.txt``.
        repo_id: Where, ``<org>/<name>``.
        base: The base model on the Hub that is played with where no variable of the Space says another.
        tuned: The tuned one.

    Raises:
        UserError: A file is missing, the folder lies outside this repository or holds what must not be published, or
            the card is not that of a gradio Space.
    """
    folder = folder.resolve()
    names = scan_folder(folder)
    for needed in (_APP, _PROGRAM, _REQUIREMENTS, CARD):
        if needed not in names:
            raise UserError(f"folder {str(folder)!r} is no Space: it has no {needed!r}")
    if not folder.is_relative_to(_ROOT):
        raise UserError(f"folder {str(folder)!r} lies outside {str(_ROOT)!r}, whose code it would be published with")
    card = read_text(folder / CARD)
    if split_card(card, f"{str(folder / CARD)!r}")[0].get("sdk") != "gradio":
        raise UserError(f"the card of {str(folder)!r} is not that of a Space: give it 'sdk: gradio'")
    own = {name for name in names if PurePosixPath(name).suffix in _SENT and not _is_hidden(name) and name != CARD}
    for name in own:
        if name.endswith(".py"):
            check_python(folder / name)
    code = sorted({*(folder / name for name in own), *carried_code(folder / _PROGRAM)})
    return Publication(
        repository=Repository(repo_id, "space"),
        card=card,
        files=(
            LocalFile(_APP, _starter(_package(folder), base, tuned)),
            LocalFile(_REQUIREMENTS, folder / _REQUIREMENTS),
            LocalFile("LICENSE", _ROOT / "LICENSE"),
            *(LocalFile(path.relative_to(_ROOT).as_posix(), path) for path in code),
        ),
        ours=lambda _: Ours(_KEYS, {"tags": lambda tag: False}),
        owns=_owns,
        message=f"{folder.name}, with the code that it runs on",
        loads=("space", f"{_package(folder)}.{Path(_APP).stem}"),
        notes=left_out(names, own | {CARD, _REQUIREMENTS}, "not part of a Space"),
        depends_on=tuple(name for name in (base, tuned) if name and not name.startswith("embedded:")),
    )


def carried_code(app: Path) -> list[Path]:
    """The modules of this repository that a program imports, itself included, and the templates beside them, sorted."""
    finder = ModuleFinder(path=[str(_ROOT)])  # what others wrote is not found there, and not looked into
    finder.run_script(str(app))
    modules = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    templates = {path for folder in {module.parent for module in modules} for path in folder.glob("*.jinja")}
    return sorted(modules | templates)


def _package(folder: Path) -> str:
    """The name by which the folder is imported, from the root of this repository and of the Space."""
    return ".".join(folder.relative_to(_ROOT).parts)


def _starter(package: str, base: str | None, tuned: str | None) -> bytes:
    """What the Space runs: the program of the folder, from where all of the code can be imported."""
    chosen = {"SPECTRUM_BASE": base, "SPECTRUM_TUNED": tuned}
    defaults = [f'os.environ.setdefault("{name}", {json.dumps(value)})' for name, value in chosen.items() if value]
    lines = [
        f'"""Starts the Space, as `python -m {package}` does in a checkout."""',
        "",
        *(["import os"] if defaults else []),
        "import runpy",
        "",
        *defaults,
        f'runpy.run_module("{package}", run_name="__main__")',
        "",
    ]
    return "\n".join(lines).encode()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _owns(name: str, _: Remote) -> bool:
    """The code: a Space of ours has no other."""
    return PurePosixPath(name).suffix in _CODE
