import json
import re

import pytest

from dataset_builder.sources.lewidi_mp import LEWIDI_MP, TASKS
from spectrum_suite.errors import UserError

TASK, _ = TASKS
FOLDER = "LeWiDi_3-2025/MP"
TRAIN, DEV, PEOPLE = (f"{FOLDER}/MP_{name}.json" for name in ("train", "dev", "annotators_meta"))


def test_judgements_by_person_in_the_order_of_items(fixture_files, split):
    people, dropped = split(TASK.read(fixture_files(LEWIDI_MP)))
    assert {name: [draw.output for draw in person.draws] for name, person in people.items()} == {
        "Ann0": ["1", "0"],
        "Ann3": ["0"],
        "Ann12": ["0", "1"],
    }
    assert people["Ann12"].draws[1].input == (
        '{"post": "Otra vez llueve.", "reply": "¡Qué alegría!", "source": "twitter", "level": "2", '
        '"language_variety": "mx", "lang": "es"}'
    )
    assert json.loads(people["Ann0"].draws[0].input)["reply"] == "What a surprise."
    assert dropped == {"annotation of an empty post": 1}
    assert (TASK.sequences.mode, TASK.sequences.length) == ("one", 1000)
    assert TASK.inputs == tuple(json.loads(people["Ann0"].draws[0].input))


def test_people_are_found_though_their_file_leaves_out_ann(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(LEWIDI_MP)))
    told = {
        "Ann0": "age: 31; gender: Female; country of birth: Ireland; country of residence: Ireland; nationality: "
        "Ireland; student status: No; employment status: Part-Time.",
        "Ann12": "age: 24; gender: Male; ethnicity: Mixed; country of birth: México; country of residence: Spain; "
        "nationality: Mexico; student status: Yes.",
    }
    for name, text in told.items():
        assert all(description.endswith(f"About this person: {text}") for description in people[name].descriptions)
    assert not any("About this person" in description for description in people["Ann3"].descriptions)
    for person in people.values():
        assert not any(re.search(r"Ann\d|\bnan\b|EXPIRED", text) for text in person.descriptions)


def test_descriptions_explain_the_fields(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(LEWIDI_MP)))
    for text in people["Ann3"].descriptions:
        assert all(word in text for word in ("iron", "platform", "depth of the reply", "language", "country", "1", "0"))


def test_the_development_items_are_read_where_the_training_items_are_not(damaged_files):
    files = damaged_files(LEWIDI_MP)
    expected = list(TASK.read(files))
    dev = files[TRAIN].rename(files[TRAIN].with_name("MP_dev.json"))
    assert list(TASK.read({DEV: dev, PEOPLE: files[PEOPLE]})) == expected
    assert [[file.path for file in layout] for layout in LEWIDI_MP.other_layouts] == [[DEV, PEOPLE]]
    assert [file.path for file in LEWIDI_MP.files] == [TRAIN, PEOPLE]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"Ann12": "1"', '"Ann12": "2"', "row 2: the rating '2' is not one of ['0', '1']"),
        ('"level": 2.0', '"level": NaN', "row 2: cannot convert float NaN"),
        ('"level": 2.0', '"level": null', "row 2: "),
        ('"source": "twitter"', '"source": 7', "row 2: "),
        ('"source": "twitter"', '"platform": "twitter"', "row 2: there is no 'source'"),
        ('"lang": "es"', '"lang": 7', "row 2: field 'lang' holds 7"),
        ('"8": {', '"7": {', "has the key '7' twice"),
        ('"lang": "es"', '"lang": "es', "is not JSON"),
    ],
)
def test_a_damaged_file_of_items_is_named(damaged_files, old, new, message):
    files = damaged_files(LEWIDI_MP)
    text = files[TRAIN].read_text(encoding="utf-8")
    assert old in text
    files[TRAIN].write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"MP_train\.json") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", '{"0": 31}', '{"0": {"Age": 31.0}, "0": {}}', '{"0": {"Age": 31.0}'])
def test_a_damaged_file_of_people_is_named(damaged_files, text):
    files = damaged_files(LEWIDI_MP)
    files[PEOPLE].write_text(text)
    with pytest.raises(UserError, match=r"MP_annotators_meta\.json"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    files = real_files(LEWIDI_MP)
    [path] = [path for name, path in files.items() if name != PEOPLE]
    items = json.loads(path.read_text(encoding="utf-8"))
    people, dropped = split(TASK.read(files))
    answers = [(person, rating) for item in items.values() for person, rating in item["annotations"].items()]
    assert {name: [draw.output for draw in person.draws] for name, person in people.items()} == {
        name: [rating for person, rating in answers if person == name] for name in dict(answers)
    }
    assert not dropped
    if len(items) == 504:
        assert (len(people), len(answers)) == (425, 2747)
        assert all("About this person" in person.descriptions[0] for person in people.values())
    for person in people.values():
        assert not any(re.search(r"\bAnn\d|\bnan\b|None|EXPIRED|\d\.0\b", text) for text in person.descriptions)
    assert {json.loads(draw.input)["lang"] for one in people.values() for draw in one.draws} <= set(TASK.languages)
