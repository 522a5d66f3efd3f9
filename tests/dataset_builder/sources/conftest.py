import os
import shutil
from pathlib import Path

import pytest

from dataset_builder.task_spec import Dropped, Example

FIXTURES = Path(__file__).parents[3] / "dataset_builder" / "fixtures"


def files_below(folder, source):
    """Upstream path -> local path of the files of a source that are in a folder laid out like ``--sources-dir``."""
    paths = {file.path: folder / source.folder / file.path for file in source.files}
    return {name: path for name, path in paths.items() if path.is_file()}


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
