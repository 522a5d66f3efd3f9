"""The folders that are next to the package in a checkout and inside it once it is installed: recipes, metrics, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectrum_suite.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from evaluate import EvaluationModule

FOLDERS = ("recipes", "metrics", "demo")

_PACKAGE = Path(__file__).parent
_HOME = _PACKAGE if (_PACKAGE / FOLDERS[0]).is_dir() else _PACKAGE.parent


def shipped(path: str | Path) -> str | Path:
    """What a path names: it itself where it exists, else the file or folder of that name that comes with the project.

    Args:
        path: Such as ``recipes/quickstart.yaml`` or ``metrics/spectrum_alignment``.

    Returns:
        The path as it was given, also where there is nothing by that name in either place.
    """
    given = Path(path)
    is_ours = given.parts[:1] in {(name,) for name in FOLDERS} and not given.exists() and (_HOME / given).exists()
    return _HOME / given if is_ours else path


def own_folder(name: str) -> Path:
    """The folder of that name that comes with the project, whatever the working directory has."""
    return _HOME / name


def load_metric(name: str, **options: Any) -> EvaluationModule:
    """A metric of this project, as `evaluate.load` gives it, from any folder and without a Hub.

    Args:
        name: ``spectrum_alignment``, ``output_coverage`` or ``in_context_steerability``.
        options: Of `evaluate.load`.

    Raises:
        UserError: There is no such metric.
    """
    import evaluate  # noqa: PLC0415 - takes seconds

    folder = own_folder("metrics")
    known = sorted(path.parent.name for path in folder.glob("*/scoring.py"))
    if name not in known:
        raise UserError(f"no metric {name!r}{did_you_mean(name, known)}: there are {', '.join(known)}")
    return evaluate.load(str(folder / name), **options)
