import json
import re

import pytest

from dataset_builder.sources.lewidi_csc import LEWIDI_CSC, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TASK, _ = TASKS
FOLDER = "LeWiDi_3-2025/CSC"
TRAIN, DEV, PEOPLE = (f"{FOLDER}/CSC_{name}.json" for name in ("train", "dev", "annotators_meta"))
SOUP = '{"context": "Steve has burnt the soup. He asks you how it is.", "response": "A feast!", "lang": "en"}'


def test_ratings_by_person_in_the_order_of_items(fixture_files, split):
    people, dropped = split(TASK.read(fixture_files(LEWIDI_CSC)))
    assert {name: [draw.output for draw in person.draws] for name, person in people.items()} == {
        "Ann0": ["4", "1"],
        "Ann1": ["1"],
        "Ann2": ["6", "3"],
        "Ann3": ["1"],
        "Ann9": ["2"],
    }
    assert list(people) == ["Ann0", "Ann1", "Ann2", "Ann3", "Ann9"]  # Ann9 is not in the file of people
    assert people["Ann2"].draws[0] == Draw(SOUP, "6")
    assert json.loads(people["Ann9"].draws[0].input)["response"] == "No problem, we’ll catch the next one."
    assert dropped == {"annotation of an empty response": 2}
    assert (TASK.sequences.mode, TASK.sequences.length) == ("one", 1000)


def test_descriptions_tell_what_is_known_and_never_the_id(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(LEWIDI_CSC)))
    for name, told in {"Ann0": "gender: Female; age: 56.", "Ann2": "gender: Male."}.items():
        assert all(text.endswith(f"About this person: {told}") for text in people[name].descriptions)
    for name in ("Ann1", "Ann3", "Ann9"):  # "nan", withdrawn, and not in the file
        assert not any("About this person" in text for text in people[name].descriptions)
    for person in people.values():
        texts = [*person.descriptions, *(text for draw in person.draws for text in draw)]
        assert not any(re.search(r"Ann\d|\bnan\b|None|DATA_|CONSENT", text) for text in texts)


def test_reading_twice_gives_the_same(fixture_files):
    files = fixture_files(LEWIDI_CSC)
    assert list(TASK.read(files)) == list(TASK.read(files))


def test_the_development_items_are_read_where_the_training_items_are_not(damaged_files):
    files = damaged_files(LEWIDI_CSC)
    expected = list(TASK.read(files))
    dev = files[TRAIN].rename(files[TRAIN].with_name("CSC_dev.json"))
    assert list(TASK.read({DEV: dev, PEOPLE: files[PEOPLE]})) == expected
    assert [[file.path for file in layout] for layout in LEWIDI_CSC.other_layouts] == [[DEV, PEOPLE]]
    assert [file.path for file in LEWIDI_CSC.files] == [TRAIN, PEOPLE]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"Ann3": "1"', '"Ann3": "7"', "row 4: the rating '7' is not one of ['1', '2', '3', '4', '5', '6']"),
        ('"Ann3": "1"', '"Ann3": 1', "row 4: field 'annotations' holds something that is not text"),
        ('"Ann3": "1"', '"Ann2": "1"', "has the key 'Ann2' twice in an object"),
        ('"104": {', '"101": {', "has the key '101' twice in an object"),
        ('"response": "Well', '"answer": "Well', "row 4: there is no 'response'"),
        ('"Ann3": "1"', '"Ann3": ', "is not JSON"),
        ("Well done!", "Well d\udcffne!", "is not UTF-8"),
    ],
)
def test_a_damaged_file_of_items_is_named(damaged_files, old, new, message):
    files = damaged_files(LEWIDI_CSC)
    text = files[TRAIN].read_text(encoding="utf-8")
    assert old in text
    files[TRAIN].write_bytes(text.replace(old, new, 1).encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"CSC_train\.json") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
@pytest.mark.parametrize("path", [TRAIN, PEOPLE])
def test_a_truncated_file_is_named(damaged_files, path, share):
    files = damaged_files(LEWIDI_CSC)
    whole = files[path].read_text(encoding="utf-8")
    files[path].write_text(whole[: int(share * len(whole))], encoding="utf-8")
    with pytest.raises(UserError, match=path.rsplit("/", 1)[1]):
        list(TASK.read(files))


def test_a_person_who_is_there_twice_is_named(damaged_files):
    files = damaged_files(LEWIDI_CSC)
    files[PEOPLE].write_text(files[PEOPLE].read_text().replace('"Ann4"', '"Ann0"'))
    with pytest.raises(UserError, match=r"annotators_meta\.json' has the key 'Ann0' twice"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    files = real_files(LEWIDI_CSC)
    [path] = [path for name, path in files.items() if name != PEOPLE]
    items = json.loads(path.read_text(encoding="utf-8"))
    people, dropped = split(TASK.read(files))
    answers = [(person, rating) for item in items.values() for person, rating in item["annotations"].items()]
    assert {name: [draw.output for draw in person.draws] for name, person in people.items()} == {
        name: [rating for person, rating in answers if person == name] for name in dict(answers)
    }
    assert not dropped
    if len(items) == 232:
        assert (len(people), len(answers)) == (160, 1000)
        assert sum("About this person" in person.descriptions[0] for person in people.values()) == 151
    for person in people.values():
        texts = [*person.descriptions, *(text for draw in person.draws for text in draw)]
        assert not any(re.search(r"\bAnn\d|\bnan\b|None|DATA_EXPIRED|CONSENT_REVOKED", text) for text in texts)
