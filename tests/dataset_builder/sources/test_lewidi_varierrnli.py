import json
import re

import pytest

from dataset_builder.sources.lewidi_varierrnli import LEWIDI_VARIERRNLI, TASKS
from dataset_builder.sources.shared.lewidi import read_people
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

ITEMS = "LeWiDi_3-2025/VariErrNLI/VariErrNLI_train.json"
PEOPLE = "LeWiDi_3-2025/VariErrNLI/VariErrNLI_annotators_meta.json"
WITH_REASONS, LABELS_ONLY = TASKS


def fields(draw):
    return json.loads(draw.input), json.loads(draw.output)


def test_every_person_gets_the_reasons_at_the_places_of_their_id(fixture_files, split):
    people, dropped = split(WITH_REASONS.read(fixture_files(LEWIDI_VARIERRNLI)))
    assert list(people) == ["Ann1", "Ann2", "Ann3"]
    assert [fields(draw)[1] for draw in people["Ann2"].draws] == [
        {"nli_label": "entailment,neutral", "explanation": "Boats in the open get wet.\nSome boats may lie in a shed."},
        {"nli_label": "contradiction", "explanation": "It closed before June."},
    ]
    assert fields(people["Ann1"].draws[1]) == (
        {"context": "The “old” mill closed in May.", "statement": "The mill is open in June.", "lang": "en"},
        {"nli_label": "contradiction", "explanation": "A closed mill is not open."},
    )
    assert [fields(draw)[0]["statement"] for draw in people["Ann3"].draws] == [
        "The mill is open in June.",
        "It was quiet.",
    ]
    assert not dropped


def test_labels_alone_are_bare_text(fixture_files, split):
    people, _ = split(LABELS_ONLY.read(fixture_files(LEWIDI_VARIERRNLI)))
    given = '{"context": "It rained all night on the harbour.", "statement": "The boats are wet.", "lang": "en"}'
    assert people["Ann2"].draws[0] == Draw(given, "entailment,neutral")
    assert [draw.output for draw in people["Ann1"].draws] == ["entailment", "contradiction"]


def test_descriptions_name_what_is_known_and_nothing_else(fixture_files, split):
    for task in TASKS:
        people, _ = split(task.read(fixture_files(LEWIDI_VARIERRNLI)))
        for text in people["Ann1"].descriptions:
            assert "gender: Female; age: 41; nationality: Danish; education: postdoc." in text
        for text in people["Ann2"].descriptions:
            assert text.endswith("About this person: gender: Male; age: 29; education: master student.")
        for text in people["Ann3"].descriptions:
            assert "About this person" not in text


def test_only_commas_before_closing_brackets_go(tmp_path):
    path = tmp_path / "people.json"
    path.write_text('{"Ann1": {"Education": "weaver, }potter\\" ,]", "Age": "3",\n\t},\n}')
    assert read_people(path) == {"Ann1": {"Education": 'weaver, }potter" ,]', "Age": "3"}}


@pytest.mark.parametrize(
    ("change", "answers_left"),
    [
        (lambda item: item["annotations"].update(Ann2="entailment"), [2, 1, 2]),  # one label, two reasons
        (lambda item: item["other_info"]["explanations"].pop(), [1, 1, 2]),  # whose reason is missing is unknown
        (lambda item: item["other_info"]["explanations"].append("So."), [1, 1, 2]),
    ],
)
def test_labels_without_a_reason_each_are_dropped(damaged_files, split, change, answers_left):
    files = damaged_files(LEWIDI_VARIERRNLI)
    items = json.loads(files[ITEMS].read_text())
    change(items["101"])
    files[ITEMS].write_text(json.dumps(items))
    people, dropped = split(WITH_REASONS.read(files))
    assert [len(person.draws) for person in people.values()] == answers_left
    assert dropped == {"labels without an explanation each": 6 - sum(answers_left)}
    people, dropped = split(LABELS_ONLY.read(files))
    assert ([len(person.draws) for person in people.values()], dropped) == ([2, 2, 2], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item.pop("annotations"), "row 2: there is no 'annotations'"),
        (lambda item: item.update(annotators=["Ann1"]), "row 2: field 'annotators' holds ['Ann1']"),
        (lambda item: item["annotations"].update(Ann1="maybe"), "row 2: the labels ['maybe'] are not among"),
        (lambda item: item["annotations"].update(Ann1=None), "row 2: field 'annotations' holds something that is not"),
        (lambda item: item["text"].pop("context"), "row 2: there is no 'context'"),
        (lambda item: item["other_info"].update(explanations=[1, 2, 3]), "row 2: "),
    ],
)
def test_a_damaged_item_is_named(damaged_files, change, message):
    files = damaged_files(LEWIDI_VARIERRNLI)
    items = json.loads(files[ITEMS].read_text())
    change(items["102"])
    files[ITEMS].write_text(json.dumps(items))
    with pytest.raises(UserError, match=r"VariErrNLI_train\.json") as error:
        list(WITH_REASONS.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ['{"Ann1": {"Age": 3,,}}', '["Ann1"]', '{"Ann1": "old"}', ""])
def test_a_damaged_file_of_people_is_named(damaged_files, text):
    files = damaged_files(LEWIDI_VARIERRNLI)
    files[PEOPLE].write_text(text)
    with pytest.raises(UserError, match=r"annotators_meta\.json"):
        list(LABELS_ONLY.read(files))


def test_real_rows(real_files, split):
    files = real_files(LEWIDI_VARIERRNLI)
    items = json.loads(files[ITEMS].read_text(encoding="utf-8"))
    assert len(items) in {200, 388}
    answers = sum(len(item["annotations"]) for item in items.values())
    assert answers == {200: 747, 388: 1443}[len(items)]
    for task in TASKS:
        people, dropped = split(task.read(files))
        assert list(people) == ["Ann1", "Ann2", "Ann3", "Ann4"]
        assert sum(len(person.draws) for person in people.values()) + sum(dropped.values()) == answers
        for person in people.values():
            texts = [*person.descriptions, *(text for draw in person.draws for text in draw)]
            assert not any(re.search(r"\bAnn\d", text) for text in texts)
    people, _ = split(WITH_REASONS.read(files))
    output = fields(people["Ann3"].draws[0])[1]
    assert output == {
        "nli_label": "entailment",
        "explanation": "Statement just changed the order of two hypothesis in the context.",
    }
    assert "gender: Male; age: 33; nationality: German; education: postdoc." in people["Ann2"].descriptions[0]
