import os
import shutil
from pathlib import Path

import pytest

from dataset_builder.task_spec import Dropped, Example

FIXTURES = Path(__file__).parents[3] / "dataset_builder" / "fixtures"


def files_below(folder, source):
    """Upstream path -> local path of the files of a source that are in a folder laid out like ``--sources_dir``.

    They are those of the first layout that is complete, or what there is of all layouts.
    """
    root = folder / source.folder
    layouts = [[_matches(root, file.path) for file in layout] for layout in (source.files, *source.other_layouts)]
    complete = next((layout for layout in layouts if all(layout)), [paths for layout in layouts for paths in layout])
    return {path.relative_to(root).as_posix(): path for paths in complete for path in paths}


def _matches(root, pattern):
    paths = root.glob(pattern) if "*" in pattern else [root / pattern]
    return sorted(path for path in paths if path.is_file())


@pytest.fixture
def fixture_files():
    return lambda source: files_below(FIXTURES, source)


@pytest.fixture
def damaged_files(tmp_path):
    """A copy of a source's fixture rows, which a test may damage."""

    def copy(source):
        shutil.copytree(FIXTURES / source.folder, tmp_path / source.folder)
        return files_below(tmp_path, source)

    return copy


@pytest.fixture
def real_files():
    def find(source):
        if not (folder := os.environ.get("SPECTRUM_SOURCES")):
            pytest.skip("real rows are read when SPECTRUM_SOURCES names their folder")
        if not (files := files_below(Path(folder), source)):
            pytest.skip(f"SPECTRUM_SOURCES has no file of {source.name}")
        return files

    return find


@pytest.fixture
def split():
    """Examples by process, and dropped rows by reason."""

    def run(read):
        items = list(read)
        dropped = {}
        for item in items:
            if isinstance(item, Dropped):
                dropped[item.reason] = dropped.get(item.reason, 0) + item.rows
        examples = [item for item in items if isinstance(item, Example)]
        assert len({example.process for example in examples}) == len(examples)
        return {example.process: example for example in examples}, dropped

    return run
