import csv
import json

import pytest

from dataset_builder.sources import prism
from dataset_builder.sources.prism import KINDS, PRISM, PRISM_PROMPTS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

CONVERSATIONS, SURVEY = "conversations.jsonl", "survey.jsonl"
COPY = "issuebench/1_dataset_construction/1_preprocessing/clean/prism.csv"
PROMPTS, INDIVIDUAL, PREFERENCES = prism.TASKS
ABOUT_1 = (
    "About this person: age: 25-34 years old; gender: Female; education: Vocational; employment status: Working "
    "full-time; country: Chile; religion: No affiliation."
)
ABOUT_2 = "About this person: gender: Male; education: Vocational; country: Côte d’Ivoire."


def edited(path, number, change):
    lines = path.read_text().splitlines()
    row = json.loads(lines[number - 1])
    change(row)
    lines[number - 1] = json.dumps(row, ensure_ascii=False)
    path.write_text("\n".join(lines))


def test_all_opening_prompts_with_the_kind_of_conversation(fixture_files, split):
    table, dropped = split(PROMPTS.read(fixture_files(PRISM_PROMPTS)))
    assert list(table) == ["all"]
    assert table["all"].draws[:3] == (
        Draw(KINDS["unguided"], "What is a good house made of?"),
        Draw(KINDS["values guided"], "Should everyone have a garden?"),
        Draw(KINDS["controversy guided"], "Is pineapple a topping?"),
    )
    assert len(table["all"].draws) == 8
    assert len(set(KINDS.values())) == 3
    assert dropped == {"opening prompt without text": 1}


def test_one_person_opens_conversations(fixture_files, split):
    people, dropped = split(INDIVIDUAL.read(fixture_files(PRISM)))
    assert {name: len(person.draws) for name, person in people.items()} == {
        "user1": 2,
        "user2": 2,
        "user3": 2,
        "user4": 2,
    }
    assert people["user2"].draws[1] == Draw(KINDS["unguided"], "¿Qué hora es?")
    assert dropped == {"opening prompt without text": 1}


@pytest.mark.parametrize("task", [INDIVIDUAL, PREFERENCES])
def test_descriptions_name_what_is_known_of_the_person(fixture_files, split, task):
    people, _ = split(task.read(fixture_files(PRISM)))
    assert [text.endswith(f" {ABOUT_1}") for text in people["user1"].descriptions] == [False, False, True, True]
    assert len(people["user4"].descriptions) == 2  # not in the survey
    for person in people.values():
        for text in (*person.descriptions, *(text for draw in person.draws for text in draw)):
            assert not any(trace in text for trace in ("user1", "user2", "None", "Prefer not", "null", "{}", "Peru"))


def test_a_person_is_described_by_what_they_told(fixture_files, split):
    people, _ = split(INDIVIDUAL.read(fixture_files(PRISM)))
    assert people["user2"].descriptions[2].endswith(f" {ABOUT_2}")
    assert len(people["user3"].descriptions) == 2  # told nothing


def test_four_replies_by_position_with_their_scores(fixture_files, split):
    people, dropped = split(PREFERENCES.read(fixture_files(PRISM)))
    assert list(people) == ["user1", "user4"]
    first, second = people["user1"].draws
    assert json.loads(first.input) == {
        "opening_prompt": "What is a good house made of?",
        "response_a": "Wood",
        "response_b": "“Stone”",
        "response_c": "Clay",
        "response_d": "Ice",
    }
    assert first.output == '{"chosen_response": "a", "score_a": 90, "score_b": 64, "score_c": 30, "score_d": 1}'
    assert json.loads(second.output)["score_d"] == 97
    assert json.loads(people["user4"].draws[1].output)["chosen_response"] == "c"
    assert dropped == {
        "conversation without a prompt or four replies": 2,  # user2's second, user3's first
        "conversation with a reply without a score": 1,
        "conversation without one chosen reply": 1,
        "row of a person with fewer than 2": 1,  # user2's other conversation
    }


def test_the_copy_in_issuebench_has_prompts_only(tmp_path, split):
    path = tmp_path / "prism.csv"
    path.write_text('id,user_prompt,n_duplicates\nprism-1," Why, “oh” why? ",1\nprism-5,Hi.,3\nprism-7,,2\n')
    table, dropped = split(PROMPTS.read({COPY: path}))
    assert table["all"].draws == (Draw(None, "Why, “oh” why?"), *[Draw(None, "Hi.")] * 3)
    assert not any("asked" in text or "kind" in text for text in table["all"].descriptions)
    assert dropped == {"opening prompt without text": 2}
    for text in ("id,user_prompt,n_duplicates\na,Hi,0\n", "id,user_prompt,n_duplicates\na,Hi,\n"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"prism\.csv', row 1: column 'n_duplicates'"):
            list(PROMPTS.read({COPY: path}))


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, lambda row: row.pop("user_id"), "row 2: there is no 'user_id'"),
        (2, lambda row: row.update(conversation_type="other"), "row 2: the kind of conversation 'other' is not one of"),
        (2, lambda row: row.update(conversation_id="c1"), "row 2: the id 'c1' is repeated"),
        (2, lambda row: row.update(opening_prompt=None), "row 2: field 'opening_prompt' holds None"),
        (
            2,
            lambda row: row["conversation_history"][1].update(score=101),
            "row 2: the scores [101, 10, 20, 30] are not",
        ),
        (
            2,
            lambda row: row["conversation_history"][1].update(score="9"),
            "row 2: the scores ['9', 10, 20, 30] are not",
        ),
        (2, lambda row: row["conversation_history"][1].pop("within_turn_id"), "row 2: there is no 'within_turn_id'"),
        (2, lambda row: row["conversation_history"][1].update(content=7), "row 2: "),
        (2, lambda row: row.update(conversation_history=["Hi"]), "row 2: "),
    ],
)
def test_a_damaged_conversation_is_named(damaged_files, number, change, message):
    files = damaged_files(PRISM)
    edited(files[CONVERSATIONS], number, change)
    with pytest.raises(UserError, match=r"conversations\.jsonl") as error:
        list(PREFERENCES.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(user_id="user1"), "row 2: the user 'user1' is repeated"),
        (lambda row: row.update(age=30), "row 2: field 'age' holds 30"),
        (lambda row: row.update(location="Chile"), "row 2: field 'reside_country' of the location"),
        (lambda row: row.pop("religion"), "row 2: there is no 'religion'"),
    ],
)
def test_a_damaged_survey_is_named(damaged_files, change, message):
    files = damaged_files(PRISM)
    edited(files[SURVEY], 2, change)
    for task in (INDIVIDUAL, PREFERENCES):
        with pytest.raises(UserError, match=r"survey\.jsonl") as error:
            list(task.read(files))
        assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"user_id": "u', b'{"user_id": "\xff"}'])
@pytest.mark.parametrize("name", [CONVERSATIONS, SURVEY])
def test_an_unreadable_file_is_named(damaged_files, name, content):
    files = damaged_files(PRISM)
    files[name].write_bytes(content)
    with pytest.raises(UserError, match=name):
        list(INDIVIDUAL.read(files))


def test_real_prompts(real_files, split):
    files = real_files(PRISM_PROMPTS)
    if COPY not in files:
        pytest.skip(f"SPECTRUM_SOURCES has no {COPY!r}, whose rows were counted by hand")
    table, dropped = split(PROMPTS.read(files))
    prompts = [draw.output for draw in table["all"].draws]
    with files[COPY].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert not dropped
    assert prompts == [row["user_prompt"].strip() for row in rows for _ in range(int(row["n_duplicates"]))]
    if len(rows) == 800:
        assert len(prompts) == 821
