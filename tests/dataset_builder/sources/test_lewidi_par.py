import json
import re

import pytest

from dataset_builder.sources.lewidi_par import LEWIDI_PAR, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

ITEMS = "LeWiDi_3-2025/Paraphrase/Paraphrase_train.json"
PEOPLE = "LeWiDi_3-2025/Paraphrase/Paraphrase_annotators_meta.json"
WITH_REASONS, RATINGS_ONLY = BY_PERSON = TASKS[:2]
BREAD = '{"question1": "How do I bake bread?", "question2": "What is bread made of?", "lang": "en"}'


def test_reasons_are_those_at_the_place_of_the_person(fixture_files, split):
    people, dropped = split(WITH_REASONS.read(fixture_files(LEWIDI_PAR)))
    assert {name: [json.loads(draw.output) for draw in person.draws] for name, person in people.items()} == {
        "Ann1": [
            {"paraphrase_rating": -3, "explanation": "How to do it, or with what."},
            {"paraphrase_rating": 5, "explanation": "The same “thing”."},  # the second annotator of this item
            {"paraphrase_rating": 5, "explanation": "Identical."},
        ],
        "Ann2": [
            {"paraphrase_rating": 0, "explanation": "Both are about bread."},
            {"paraphrase_rating": 4, "explanation": "Both ask for the way."},
        ],
    }
    assert people["Ann1"].draws[0].input == BREAD
    assert dropped == {"rating without an explanation": 1}


def test_ratings_alone_are_bare_text(fixture_files, split):
    people, dropped = split(RATINGS_ONLY.read(fixture_files(LEWIDI_PAR)))
    assert people["Ann1"].draws[0] == Draw(BREAD, "-3")
    assert {name: [draw.output for draw in person.draws] for name, person in people.items()} == {
        "Ann1": ["-3", "5", "5"],
        "Ann2": ["0", "4"],
        "Ann3": ["5"],
    }
    assert not dropped
    assert RATINGS_ONLY.options == ("-5", "-4", "-3", "-2", "-1", "0", "1", "2", "3", "4", "5")
    assert WITH_REASONS.options is None


def test_descriptions_tell_the_scale_and_the_person_but_not_the_id(fixture_files, split):
    for task in BY_PERSON:
        assert (task.sequences.mode, task.sequences.length) == ("partition", 20)
        people, _ = split(task.read(fixture_files(LEWIDI_PAR)))
        for text in people["Ann1"].descriptions:
            assert text.endswith("gender: Male; age: 26; nationality: Danish; education: master student.")
        for text in people["Ann2"].descriptions:
            assert text.endswith("About this person: gender: Female; age: 30; education: master student.")
        for person in people.values():
            assert not any(re.search(r"Ann\d", text) for text in person.descriptions)
            assert all("from -5" in text and "to 5" in text for text in person.descriptions)
            assert all(("reason" in text) == (task is WITH_REASONS) for text in person.descriptions)


def test_reading_twice_gives_the_same(fixture_files):
    for task in BY_PERSON:
        assert list(task.read(fixture_files(LEWIDI_PAR))) == list(task.read(fixture_files(LEWIDI_PAR)))


def test_ratings_are_dropped_where_it_is_unknown_whose_reason_is_missing(damaged_files, split):
    files = damaged_files(LEWIDI_PAR)
    items = json.loads(files[ITEMS].read_text(encoding="utf-8"))
    items["101"]["other_info"]["explanations"].pop(0)
    files[ITEMS].write_text(json.dumps(items))
    people, dropped = split(WITH_REASONS.read(files))
    assert [len(person.draws) for person in people.values()] == [2, 1]
    assert dropped == {"rating without an explanation": 3}
    people, dropped = split(RATINGS_ONLY.read(files))
    assert ([len(person.draws) for person in people.values()], dropped) == ([3, 2, 1], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item["annotations"].update(Ann1="-6"), "row 2: the rating '-6' is not one of"),
        (lambda item: item["annotations"].update(Ann1=""), "row 2: the rating '' is not one of"),
        (lambda item: item["text"].pop("Question2"), "row 2: there is no 'Question2'"),
        (lambda item: item["other_info"].pop("explanations"), "row 2: there is no 'explanations'"),
        (lambda item: item["other_info"].update(explanations=[3, "So."]), "row 2: "),
        (lambda item: item.update(annotators=7), "row 2: field 'annotators' holds 7"),
    ],
)
def test_a_damaged_item_is_named(damaged_files, change, message):
    files = damaged_files(LEWIDI_PAR)
    items = json.loads(files[ITEMS].read_text(encoding="utf-8"))
    change(items["102"])
    files[ITEMS].write_text(json.dumps(items))
    with pytest.raises(UserError, match=r"Paraphrase_train\.json") as error:
        list(WITH_REASONS.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(("path", "text"), [(ITEMS, '{"101": '), (ITEMS, "[]"), (PEOPLE, '{"Ann1": 3}'), (PEOPLE, "")])
def test_a_damaged_file_is_named(damaged_files, path, text):
    files = damaged_files(LEWIDI_PAR)
    files[path].write_text(text)
    with pytest.raises(UserError, match=path.rsplit("/", 1)[1]):
        list(RATINGS_ONLY.read(files))


def test_real_rows(real_files, split):
    files = real_files(LEWIDI_PAR)
    items = json.loads(files[ITEMS].read_text(encoding="utf-8"))
    assert len(items) in {200, 400}
    for task in BY_PERSON:
        people, dropped = split(task.read(files))
        assert list(people) == ["Ann1", "Ann2", "Ann3", "Ann4"]
        assert sum(len(one.draws) for one in people.values()) + sum(dropped.values()) == 4 * len(items)
        for person in people.values():
            texts = [*person.descriptions, *(text for draw in person.draws for text in draw)]
            assert not any(re.search(r"\bAnn\d", text) for text in texts)
    people, _ = split(WITH_REASONS.read(files))
    first = next(iter(items.values()))
    for place, (name, person) in enumerate(people.items()):
        assert json.loads(person.draws[0].output) == {
            "paraphrase_rating": int(first["annotations"][name]),
            "explanation": first["other_info"]["explanations"][place].strip(),
        }
