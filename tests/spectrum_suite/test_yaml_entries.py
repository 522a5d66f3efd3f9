"""YAML that people write: read with the place of every entry, and one line for what is wrong."""

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.yaml_entries import read_entries

KINDS = {"name": str, "share": float, "limit": int | None, "kept": bool, "tasks": list, "options": dict}


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_entries(path, "recipe", "write lines such as 'name: x'")

    return read


def message(call, *words):
    with pytest.raises(UserError) as raised:
        call(*words)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_entry_knows_its_line(read, tmp_path):
    entries = read("# a comment\n\nname: x\noptions:\n  1: a\n  no: b\n")
    assert entries == {"name": "x", "options": {1: "a", False: "b"}}
    path = tmp_path / "a.yaml"
    assert (entries.at("name"), entries.at("nothing")) == (f"{path}:3", f"{path}:3")
    assert (entries["options"].at(1), entries["options"].place) == (f"{path}:5", f"{path}:5")


def test_what_fits_is_left_as_it_is(read):
    entries = read("name: x\nshare: 1\nlimit:\nkept: yes\ntasks: [a]\noptions: {a: 2024-01-31}")
    entries.check(KINDS, needed=["name"])
    assert entries["options"] == {"a": "2024-01-31"}  # a date is text, as it is written
    assert read("\ufeffname: x") == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nnme: y", ":2: no entry 'nme', did you mean 'name'?: there are kept, limit, name"),
        ("share: 1", ":1: 'name' is missing: add it"),
        ("name: 3", ":1: 'name' is 3: give text"),
        ("name: x\nshare: true", ":2: 'share' is True: give a number"),
        ("name: x\nlimit: 1.5", ":2: 'limit' is 1.5: give a whole number or nothing"),
        ("name: x\nkept: 1", ":2: 'kept' is 1: give true or false"),
        ("name: x\ntasks: a", ":2: 'tasks' is 'a': give a list"),
        ("name: x\noptions: [a]", ":2: 'options' is ['a']: give names with values"),
    ],
)
def test_names_and_values_that_do_not_fit_are_told_by_their_line(read, text, said):
    assert said in message(read(text).check, KINDS, ["name"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nname: y", ":2: 'name' is given twice: leave one out"),
        ("options:\n  a: 1\n  b: 2\n  a: 3", ":4: 'a' is given twice"),
        ("name: x\ntasks: [a", ":2: not YAML, expected ',' or ']'"),
        ("name: why?: because", ":1: not YAML, mapping values are not allowed here: put text with '?', ':'"),
        ("- a", "does not hold names with values: write lines such as 'name: x'"),
        ("", "does not hold names with values"),
        ("[a]: 1", ":1: not YAML, found unhashable key"),
        ("name: \x01", "not YAML, "),
        ("name: x\n---\nname: y", "not YAML, but found another document"),
        ("name: caf\xe9".encode("latin-1"), "is not text in UTF-8"),
    ],
)
def test_a_file_that_is_not_a_mapping_is_refused(read, text, said):
    assert said in message(read, text)


def test_a_mapping_may_be_merged_into_another_and_overridden(read):
    entries = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {d: {<<: *a, x: 0}}\n")
    assert entries == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"d": {"x": 0, "y": 2}}}


def test_a_path_that_cannot_be_read_is_told(tmp_path):
    read = read_entries
    assert "recipe 'nowhere.yaml' cannot be read (No such file or directory): look" in message(
        read, "nowhere.yaml", "recipe", "look"
    )
    assert "(Is a directory): look" in message(read, str(tmp_path), "recipe", "look")
