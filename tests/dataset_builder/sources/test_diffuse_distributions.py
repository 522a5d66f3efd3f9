import json

import pytest

from dataset_builder.sources.diffuse_distributions import DIFFUSE_DISTRIBUTIONS, TASKS
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "prompts/fruits/fruit-1.json"


def test_a_process_is_a_file_with_targets(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(DIFFUSE_DISTRIBUTIONS)))
    assert {process: [draw.output for draw in example.draws] for process, example in processes.items()} == {
        "baby-names/train": ["Ada", "Zoë", "Bo"],
        "ficticious-people/ficticious-people-train": [
            "Ann Example Female March 3, 1950 Port Nowhere",
            "Tom Sample Male May 05, 1961 Elsewhere, Atlantis",
        ],
        "fruits/fruit-0": ["Quince", "Medlar", "Sloe"],
        "fruits/fruit-1": ["Quince", "Medlar"],
    }
    assert dropped == {"target that is blank or repeated": 2, "file without targets": 1}
    assert (TASK.sequences.mode, TASK.sequences.count, TASK.sequences.length) == ("several", 10, None)


def test_the_description_is_the_first_sentence_without_the_format(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(DIFFUSE_DISTRIBUTIONS)))
    for process, sentence in {
        "fruits/fruit-1": "Pick a fruit at random for me.",
        "ficticious-people/ficticious-people-train": "Invent a person, chosen at random.",
    }.items():
        for description in processes[process].descriptions:
            assert description.startswith(sentence)
            assert "without replacement" in description
            assert "{" not in description


def test_equal_file_names_in_two_folders_are_two_processes_in_order_of_path(fixture_files, split):
    path = fixture_files(DIFFUSE_DISTRIBUTIONS)[PATH]
    processes, _ = split(TASK.read({"prompts/b/same.json": path, "prompts/a/same.json": path}))
    assert list(processes) == ["a/same", "b/same"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"request": "Pick a fruit.", "targets": ["{Qui', "is not JSON"),
        ('{"request": "Pick a fruit."}', "row 1: there is no 'targets'"),
        ('{"request": "Pick a fruit.", "targets": [7]}', "row 1: 'targets' holds something that is not text"),
        ('{"request": "Pick a fruit.", "targets": "{Quince}"}', "'targets' is not a list"),
        ('{"request": null, "targets": ["{Quince}"]}', "row 1: 'request' is not text"),
        ('{"request": "Pick", "targets": ["{Quince}"]}', "has no whole sentence"),
        ('["{Quince}"]', "row 1: it is not a JSON object but list"),
        ("", "is empty"),
    ],
)
def test_a_damaged_file_is_named(damaged_files, text, message):
    files = damaged_files(DIFFUSE_DISTRIBUTIONS)
    files[PATH].write_text(text)
    with pytest.raises(UserError, match=r"fruit-1\.json") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_a_file_in_another_encoding_is_named(damaged_files):
    files = damaged_files(DIFFUSE_DISTRIBUTIONS)
    files[PATH].write_bytes('{"request": "Pick.", "targets": ["{Açaí}"]}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"fruit-1\.json.* is not UTF-8"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    files = real_files(DIFFUSE_DISTRIBUTIONS)
    processes, dropped = split(TASK.read(files))
    assert (len(files), len(processes)) == (28, 27)
    assert dropped == {"file without targets": 1}
    sizes = {process: len(example.draws) for process, example in processes.items()}
    assert sum(sizes.values()) == 1401
    assert (min(sizes.values()), max(sizes.values())) == (5, 210)
    for process, example in processes.items():
        raw = json.loads(files[f"prompts/{process}.json"].read_text())
        assert len(example.draws) == len(raw["targets"])
        assert not any(mark in draw.output for draw in example.draws for mark in "{}\n\u200b")
