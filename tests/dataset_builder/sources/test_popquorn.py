import csv
import json
from collections import defaultdict

import pytest

from dataset_builder.sources import popquorn
from dataset_builder.sources.popquorn import POPQUORN
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

OFFENSIVENESS = "dataset/offensiveness/raw_data.csv"
QUESTIONS = "dataset/question_answering/raw_data.csv"
TEXTS, INDIVIDUAL = popquorn.TASKS
ABOUT_ANN = (
    "About this person: gender: Woman; race: White; age: 45-49; occupation: Employed; education: College degree."
)
ABOUT_BO = "About this person: gender: Man; occupation: Student; education: Graduate degree."


def test_people_with_more_than_five_rows_in_each_sub_task(fixture_files, split):
    people, dropped = split(INDIVIDUAL.read(fixture_files(POPQUORN)))
    assert list(people) == [
        "email_rewriting/3.0",
        "offensiveness/7",
        "politeness_rating/5.0",
        "question_answering/Woman/White/45-49/Employed/College degree",
    ]
    assert [len(person.draws) for person in people.values()] == [7, 6, 7, 6]
    assert people["offensiveness/7"].draws[2] == Draw("Your cake was dry, “chef”.", "3")
    assert people["email_rewriting/3.0"].draws[0] == Draw(
        "Send me list 1 now.", "Could you send me list 1, please?\nThank you"
    )
    assert [draw.output for draw in people["politeness_rating/5.0"].draws] == ["1", "2", "1", "1", "3", "5", "4"]
    question = people["question_answering/Woman/White/45-49/Employed/College degree"].draws[0]
    assert json.loads(question.input) == {
        "passage": "The mill in valley 1 has 1 wheels.",
        "question": "How many wheels has mill 1?",
    }
    assert json.loads(question.output) == {"groundtruth": "1", "answer": "1 wheels", "difficulty": 2}
    assert dropped == {
        "row without a person": 2,  # an e-mail without an id, a question without demographics
        "row with an empty cell": 2,  # no rating; no text
        "row of a person with fewer than 6": 5 + 5 + 2,
    }


def test_half_of_the_descriptions_say_who_the_person_is_and_no_text_has_an_id(fixture_files, split):
    people, _ = split(INDIVIDUAL.read(fixture_files(POPQUORN)))
    for name, about in (("offensiveness/7", ABOUT_ANN), ("politeness_rating/5.0", ABOUT_BO)):
        with_person = [text for text in people[name].descriptions if "About this person" in text]
        assert len(with_person) == 2
        assert all(text.endswith(about) for text in with_person)
        assert [text.removesuffix(f" {about}") for text in with_person] == list(people[name].descriptions[:2])
    sub_tasks = {name.split("/")[0]: person.descriptions[:2] for name, person in people.items()}
    assert len(set(sub_tasks.values())) == 4
    assert not any("disclose" in text for person in people.values() for text in person.descriptions)


def test_different_texts_of_a_sub_task_come_once(fixture_files, split):
    pools, dropped = split(TEXTS.read(fixture_files(POPQUORN)))
    assert {name: len(pool.draws) for name, pool in pools.items()} == {
        "email_rewriting": 8,
        "offensiveness": 6,
        "politeness_rating": 7,
        "question_answering": 7,
    }
    assert pools["offensiveness"].draws[3] == Draw(None, "That café is for snobs.")
    assert pools["question_answering"].draws[6] == Draw(None, "The mill is old.")
    assert "polite" in pools["politeness_rating"].descriptions[0]
    assert dropped == {"row without a text": 1}


def test_at_most_100_people_of_a_sub_task(damaged_files, split):
    files = damaged_files(POPQUORN)
    header = files[OFFENSIVENESS].read_text().splitlines()[0]
    rows = [f"{n},{person},Text {n}.,1.0,Man,White,18-24,Student,Other" for person in range(105) for n in range(6)]
    files[OFFENSIVENESS].write_text("\n".join([header, *rows]))
    people, dropped = split(INDIVIDUAL.read({OFFENSIVENESS: files[OFFENSIVENESS]}))
    assert len(people) == 100
    assert list(people) != [f"offensiveness/{person}" for person in range(100)]
    assert dropped == {"row of a person beyond the 100 kept": 30}


def test_each_sub_task_can_be_built_alone(fixture_files, split):
    files = fixture_files(POPQUORN)
    assert POPQUORN.divisible
    people, _ = split(INDIVIDUAL.read({OFFENSIVENESS: files[OFFENSIVENESS]}))
    assert list(people) == ["offensiveness/7"]
    pools, _ = split(TEXTS.read({QUESTIONS: files[QUESTIONS]}))
    assert list(pools) == ["question_answering"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hat.,2.0", "hat.,2.5", "row 1: the rating '2.5' is not a whole number from 1 to 5"),
        ("hat.,2.0", "hat.,6.0", "row 1: the rating '6.0' is not"),
        ("hat.,2.0", "hat.,nan", "row 1: the rating 'nan' is not"),
        ("hat.,2.0", "hat.,two", "row 1: could not convert string to float: 'two'"),
        ("user_id", "person", "lacks a column it should have"),
        ("hat.,2.0", "hat.,2.0,7", "row 1: it has 10 fields where 9 are expected"),
    ],
)
def test_a_damaged_table_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(POPQUORN)
    text = files[OFFENSIVENESS].read_text()
    assert old in text
    files[OFFENSIVENESS].write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=r"offensiveness/raw_data\.csv") as error:
        list(INDIVIDUAL.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b"instance_id,user_id,text", b"text\n\xff\xfe\n"])
def test_an_unreadable_table_is_named(damaged_files, content):
    files = damaged_files(POPQUORN)
    files[OFFENSIVENESS].write_bytes(content)
    for task in (INDIVIDUAL, TEXTS):
        with pytest.raises(UserError, match=r"offensiveness/raw_data\.csv"):
            list(task.read(files))


def test_real_ratings_agree_with_a_reading_by_the_csv_module(real_files, split):
    files = real_files(POPQUORN)
    with files[OFFENSIVENESS].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = defaultdict(list)
    for row in rows:
        expected[f"offensiveness/{row['user_id']}"].append((row["text"].strip(), str(int(float(row["offensiveness"])))))
    people, dropped = split(INDIVIDUAL.read({OFFENSIVENESS: files[OFFENSIVENESS]}))
    assert not (people.keys() - expected.keys())
    for name, person in people.items():
        assert [tuple(draw) for draw in person.draws] == expected[name]
        assert len(person.descriptions) == 4
    pools, _ = split(TEXTS.read({OFFENSIVENESS: files[OFFENSIVENESS]}))
    assert {draw.output for draw in pools["offensiveness"].draws} == {row["text"].strip() for row in rows}
    if len(rows) == 1989:  # the sample of 40 people
        assert (len(people), dropped) == (40, {})
        assert len(pools["offensiveness"].draws) == 1132


def test_private_mail_is_never_fetched():
    fetched = {file.path.split("/")[1] for file in POPQUORN.files if file.url}
    assert fetched == {"offensiveness", "question_answering"}
