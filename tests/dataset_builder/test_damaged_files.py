"""A damaged raw file of any source ends the build in one line that names the file, and nothing is written."""

import shutil
from pathlib import Path

import pytest

from dataset_builder.__main__ import main
from dataset_builder.files import find_files
from dataset_builder.registry import all_tasks

FIXTURES = Path(__file__).parents[2] / "dataset_builder" / "fixtures"
DAMAGE = {
    "empty": b"",
    "binary": bytes(range(128, 256)) * 8,
    "web page": b"<html><body>404 Not Found</body></html>\n",
}
FREE_TEXT = {"imdb"}
"""Sources whose files are texts as people wrote them: a web page is one."""


def readers():
    """One task for each way in which raw files are read, with the files that its fixture has."""
    tasks = {(spec.source.name, spec.read): spec for spec in all_tasks() if spec.read is not None}
    return [pytest.param(spec, id=spec.name) for spec in tasks.values()]


@pytest.mark.parametrize("spec", readers())
def test_a_damaged_file_is_named_and_nothing_is_written(spec, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    raw, output = tmp_path / "raw", tmp_path / "suite"
    shutil.copytree(FIXTURES / spec.source.folder, raw / spec.source.folder)
    upstream_path = next(iter(find_files(spec, raw, allow_missing=True).found))
    damaged = raw / spec.source.folder / upstream_path
    for kind, content in DAMAGE.items():
        if kind == "web page" and spec.source.name in FREE_TEXT:
            continue
        damaged.write_bytes(content)
        options = ["--tasks", spec.name, "--sources_dir", str(raw), "--output", str(output), "--allow_missing"]
        with pytest.raises(SystemExit, match="2"):
            main(["build", *options])
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("building:"))
        assert line.startswith("error: "), kind
        assert damaged.name in line, kind
        assert not output.exists(), kind
