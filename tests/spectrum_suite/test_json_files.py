"""JSON is read with one line that says what is wrong, and written whole."""

import math
import os

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.json_files import finite, read_json, write_json


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ü": [1, 2.5, None]})
    assert read_json(path, "make it") == {"ü": [1, 2.5, None]}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_not_a_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UserError, match="is not a file, and is not replaced by one"):
            write_json(path, {"a": 1})
    assert (tmp_path / "pipe").is_fifo()


def test_what_json_lacks_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": math.nan})
    assert read_json(path, "make it") == {"a": 1}
    assert finite({"a": [math.nan, (math.inf, 1.0)]}) == {"a": [None, [None, 1.0]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "report '.*' not found: make it"),
        ("{", "report '.*' is not JSON: write it again"),
        ("[1]", "report '.*' is not a JSON object: write it again"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_json(path, "make it", what="report")
