import csv
import json
from collections import Counter

import pytest

from dataset_builder.sources.generativesocialchoice import GENERATIVE_SOCIAL_CHOICE, SURVEYS, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TASK = {task.name: task for task in TASKS}
RATINGS = TASK["generativesocialchoice_validation"].read
TEXTS = TASK["generativesocialchoice_freetext"].read
ABORTION = "data/abortion_survey.csv"


def test_texts_of_a_person_keep_their_order_and_markup(fixture_files, split):
    people, dropped = split(TEXTS(fixture_files(GENERATIVE_SOCIAL_CHOICE)))
    abortion = [f"abortion/generation{number}" for number in (1, 3, 4)]
    assert list(people) == [*abortion, "chatbot_personalization/generation1"]
    law = "<p>What should the law say?</p>\n<p><em>(Two sentences.)</em></p>"
    assert people["abortion/generation1"].draws == (Draw(law, 'The law should be clear. "Clear" means short.'),)
    assert people["chatbot_personalization/generation1"].draws == (
        Draw("Your Opinion\nShould a chatbot know your name?", "Only if I tell it."),
    )
    assert dropped == {"question or answer is empty": 1}


def test_ratings_are_those_of_the_validation_sample(fixture_files, split):
    people, dropped = split(RATINGS(fixture_files(GENERATIVE_SOCIAL_CHOICE)))
    assert list(people) == ["abortion/validation2", "abortion/validation5", "chatbot_personalization/validation2"]
    [draw] = people["abortion/validation2"].draws
    choices = ["very poorly", "poorly", "moderately", "well", "very well", "excellently", "exceptionally"]
    assert json.loads(draw.input) == {
        "question_text": "<p>How well does this summary fit?</p>",
        "json_choices": choices,
    }
    assert draw.output == '{"choice": "exceptionally", "response_text": "It says what I think – naïvely put."}'
    [draw] = people["chatbot_personalization/validation2"].draws
    assert json.loads(draw.input)["json_choices"] == ["not at all", "poorly", "somewhat", "mostly", "perfectly"]
    assert dropped == {"question or answer is empty": 1}  # the release keeps ratings without an explanation


def test_descriptions_list_the_fields_and_nothing_of_the_person(fixture_files, split):
    for name, task in TASK.items():
        people, _ = split(task.read(fixture_files(GENERATIVE_SOCIAL_CHOICE)))
        for example in people.values():
            for text in example.descriptions:
                assert all(field in text for field in (*task.inputs, *task.outputs)), name
                assert "generation" not in text
                assert "validation" not in text
        assert task.sequences.mode == "one"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"exceptionally,6.0", b"splendidly,6.0", "row 6: the choice 'splendidly' is not one of"),
        (b'"[\'very poorly\', \'poorly\', \'moderately\', \'well\', \'very well\', \'excellently\', '
         b'\'exceptionally\']",exceptionally', b"['very,exceptionally", "row 6: \"['very\" is not a Python literal"),
        (b"validation2,4", b"validation2,3", "row 7: person and step ('validation2', '3') are there already"),
        (b"generation1,4,text", b"generation1,4,essay", "row 3: question type 'essay'"),
        (b"generation\n", b"pilot\n", "row 1: question type 'reading' or sample 'pilot'"),
        (b"generation1,4", b",4", "row 3: columns 'user_id' and 'step'"),
        (b"json_choices", b"choices", "lacks a column it should have"),
        (b"na\xc3\xafvely", b"na\xefvely", "is not valid CSV"),
        (b",Continue,,,", b",Continue,,", "row 1: it has 10 fields where 11 are expected"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(GENERATIVE_SOCIAL_CHOICE)
    content = files[ABORTION].read_bytes()
    assert old in content
    files[ABORTION].write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=r"abortion_survey\.csv") as error:
        list(RATINGS(files))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(GENERATIVE_SOCIAL_CHOICE)
    ratings, dropped = split(RATINGS(files))
    texts, dropped_texts = split(TEXTS(files))
    assert not dropped
    assert sum(dropped_texts.values()) == (1 if len(texts) == 200 else 0)
    expected_ratings, expected_texts = Counter(), Counter()
    for survey, name in SURVEYS.items():
        with files[name].open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["question_type"] == "text" and row["text"].strip():
                    expected_texts[f"{survey}/{row['user_id']}"] += 1
                elif row["question_type"] != "reading" and row["sample_type"] == "validation":
                    expected_ratings[f"{survey}/{row['user_id']}"] += 1
    assert {process: len(example.draws) for process, example in ratings.items()} == expected_ratings
    assert {process: len(example.draws) for process, example in texts.items()} == expected_texts
    assert len(ratings) == len(texts) in {50, 200}  # the sample, the whole file
