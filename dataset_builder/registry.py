"""Collects the tasks of every source in `dataset_builder.sources`, of installed packages and of one's own files.

A package brings sources by an entry point of the group ``spectrum_suite.sources`` that names a module with `TASKS`. A
file of one's own is a task file (YAML) or a Python module with `TASKS`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from dataset_builder import sources
from dataset_builder.task_files.definition import SUFFIXES, yaml_files
from dataset_builder.task_files.specs import task_specs
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError, did_you_mean, first_line
from spectrum_suite.shipped import shipped

WORDS = {
    "all": lambda spec: True,
    "synthetic": lambda spec: not spec.source.files,
    "paper": lambda spec: spec.origin == "paper",
    "ours": lambda spec: spec.origin == "ours",
}
"""Words for groups of tasks, and which tasks they select; `synthetic` tasks need no raw file."""


ENTRY_POINTS = "spectrum_suite.sources"
"""The group of entry points by which an installed package brings sources."""

_included: ContextVar[Mapping[Path, Sequence[TaskSpec]]] = ContextVar("tasks of one's own files")


@functools.cache
def all_tasks() -> tuple[TaskSpec, ...]:
    """Every task of the suite and of installed packages, sorted by name."""
    modules = pkgutil.iter_modules(sources.__path__, f"{sources.__name__}.")
    ours = [importlib.import_module(module.name) for module in modules if not module.ispkg]
    return collect([*ours, *_of_packages()])


def known_tasks() -> tuple[TaskSpec, ...]:
    """Every task that can be named now: all tasks, and those of the files that are included; sorted by name."""
    own = (spec for specs in _included.get({}).values() for spec in specs)
    return tuple(sorted((*all_tasks(), *own), key=lambda spec: spec.name))


@contextmanager
def including(files: Iterable[Path]) -> Iterator[Mapping[Path, Sequence[TaskSpec]]]:
    """Know the tasks of some files, too: task files, folders of them, Python sources.

    Yields:
        Path as given -> its tasks, in the order of the file.

    Raises:
        UserError: A file cannot be read, or has a task that there is already.
    """
    included = dict(_included.get({}))
    places = {spec.name: "the suite" for spec in all_tasks()}
    places |= {spec.name: f"{str(path)!r}" for path, specs in included.items() for spec in specs}
    found: dict[Path, Sequence[TaskSpec]] = {}
    for path in dict.fromkeys(files):
        found[path] = included.get(path) or [spec for file in yaml_files(path) for spec in _tasks_of(file)]
        if not found[path]:
            raise UserError(f"folder {str(path)!r} has no task file: put YAML files in it, or name one")
        for spec in found[path] if path not in included else ():
            if spec.name in places:
                raise UserError(f"task {spec.name!r} of {str(path)!r} is in {places[spec.name]} already: rename it")
            places[spec.name] = f"{str(path)!r}"
    token = _included.set(included | found)
    try:
        yield found
    finally:
        _included.reset(token)


@contextmanager
def naming(words: Iterable[str], files: Iterable[Path] = ()) -> Iterator[list[str]]:
    """Know the tasks of some files and of those among the words.

    Args:
        words: Names of tasks, the words in :data:`WORDS`, and paths of task files or of folders of them.
        files: Further files whose tasks are known.

    Yields:
        The words, with the names of its tasks in the place of each path.
    """
    words = list(words)
    own = own_files(words)
    with including([*files, *own.values()]) as found:
        yield [name for word in words for name in ([s.name for s in found[own[word]]] if word in own else [word])]


def own_files(words: Iterable[str]) -> dict[str, Path]:
    """Those of the words that name task files or folders of them, and not tasks."""
    names = {*WORDS, *(spec.name for spec in all_tasks())}
    paths = {word: Path(shipped(word)).expanduser() for word in words if word not in names}
    return {word: path for word, path in paths.items() if path.suffix.lower() in SUFFIXES or path.is_dir()}


def _tasks_of(file: Path) -> Sequence[TaskSpec]:
    if file.suffix.lower() in SUFFIXES:
        return task_specs(file)
    return collect([_imported(file)])


def _imported(file: Path) -> ModuleType:
    """A Python source of one's own."""
    found = importlib.util.spec_from_file_location(f"own_source_{file.stem}", file)
    if not file.is_file() or found is None or found.loader is None:
        raise UserError(f"source {str(file)!r} is not a Python file: give one with TASKS, or a task file (.yaml)")
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:  # whatever goes wrong in somebody's own code
        raise UserError(
            f"source {str(file)!r} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error
    return module


def _of_packages() -> Iterator[ModuleType]:
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            yield point.load()
        except Exception as error:  # whatever goes wrong in somebody's package
            raise UserError(
                f"source {point.value!r} of an installed package cannot be imported: {type(error).__name__}: "
                f"{first_line(error)}; fix the package, or uninstall it"
            ) from error


def collect(modules: Iterable[ModuleType]) -> tuple[TaskSpec, ...]:
    """The tasks in the ``TASKS`` of the modules, sorted by name.

    Raises:
        UserError: Two modules have a task of the same name, or one has none.
    """
    found: dict[str, tuple[TaskSpec, str]] = {}
    for module in modules:
        if not getattr(module, "TASKS", ()):
            raise UserError(
                f"source {module.__name__!r} has no TASKS: give it some, or move what several sources share to "
                "dataset_builder/sources/shared"
            )
        for spec in module.TASKS:
            if spec.name in found:
                raise UserError(
                    f"task {spec.name!r} is defined in {found[spec.name][1]} and again in {module.__name__}: rename one"
                )
            found[spec.name] = spec, module.__name__
    return tuple(found[name][0] for name in sorted(found))


def get_task(name: str) -> TaskSpec:
    """The task of that name.

    Raises:
        UserError: There is none; the message has the closest name.
    """
    return select_tasks([name], words=False)[0]


def select_tasks(names: Iterable[str], *, words: bool = True) -> tuple[TaskSpec, ...]:
    """The selected tasks, sorted by name, each once.

    Args:
        names: Names of tasks, and the words in :data:`WORDS`.
        words: Whether those words are allowed.

    Raises:
        UserError: A name is neither a task nor a word; the message has the closest one.
    """
    by_name = {spec.name: spec for spec in known_tasks()}
    selected: set[str] = set()
    for name in names:
        if words and name in WORDS:
            selected.update(task for task, spec in by_name.items() if WORDS[name](spec))
        elif name in by_name:
            selected.add(name)
        else:
            known = [*by_name, *WORDS] if words else by_name
            raise UserError(
                f"task {name!r} not found{did_you_mean(name, known)}: "
                "list the tasks with 'python -m dataset_builder list'"
            )
    return tuple(by_name[name] for name in sorted(selected))
