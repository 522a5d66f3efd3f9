"""Tables joined by a key: what is known of people, or of questions, is often in a file of its own."""

import pytest

from dataset_builder.task_files.specs import task_specs
from spectrum_suite.errors import UserError
from tests.dataset_builder.task_files.tables import PER_ANSWER, PER_PERSON, PER_QUESTION, read_all, written
from tests.dataset_builder.task_files.workbooks import write_excel

ICL = PER_ANSWER.format(kind="icl") + "join: {table: people.csv, key: {who: id}}\n"
ANSWERS = "who,question,answer\n1,Fruit?,Often\n2,Fruit?,Never\n1,Meat?,Never\n2,Meat?,Often\n"
PEOPLE = "id,age,country\n1.0,18-29,Chile\n2.0,50+,Ghana\n"


def joined(folder, people, task=ICL, answers=ANSWERS):
    (folder / "people.csv").write_text(people)
    return written(folder, task, answers)


def descriptions(examples):
    return [example.descriptions for example in examples]


def test_people_are_described_by_a_table_of_their_own_whose_numbers_may_be_written_otherwise(tmp_path):
    examples, noted = read_all(joined(tmp_path, PEOPLE))
    assert descriptions(examples) == [
        ("One person answers questions on food. The person is 18-29 years old.",),
        ("One person answers questions on food. The person is 50+ years old.",),
    ]
    assert examples[1].groups == (("age", "50+"), ("country", "Ghana"))
    assert not noted


def test_people_without_a_row_have_no_attributes_and_a_second_row_is_left_out(tmp_path):
    examples, noted = read_all(joined(tmp_path, "id,age,country\n1,18-29,Chile\n1,30-49,Chile\n"))
    assert descriptions(examples)[1] == ("One person answers questions on food.",)
    assert noted == {
        ("row of 'people.csv' whose key an earlier one has", 1, "row 2, column 'id': '1'", False),
        ("row that has no match in 'people.csv', whose columns are missing", 2, "row 2, column 'who': '2'", True),
    }


def test_sheets_of_one_workbook_are_joined(tmp_path):
    pytest.importorskip("fastexcel")
    sheets = {"Answers": [line.split(",") for line in ANSWERS.splitlines()],
              "People": [["id", "age", "country"], [1, "18-29", "Chile"], [2, "50+", "Ghana"]]}  # fmt: skip
    write_excel(tmp_path / "food.xlsx", sheets)
    task = ICL.replace("food.csv", "food.xlsx").replace("{table: people.csv,", "{table: food.xlsx, sheet: People,")
    path = tmp_path / "food.yaml"
    path.write_text(task + "sheet: Answers\n")
    examples, noted = read_all(path)
    assert [example.groups[0] for example in examples] == [("age", "18-29"), ("age", "50+")]
    assert not noted
    assert [file.path for file in task_specs(path)[0].source.files] == ["food.yaml", "food.xlsx"]


def test_each_shape_can_be_joined(tmp_path):
    per_person = PER_PERSON.format(kind="icl") + "join: {table: people.csv, key: {who: id}}\n"
    (example,), _ = read_all(joined(tmp_path, PEOPLE, per_person, "who,fruit,meat\n2,1,3\n"))
    assert example.groups == (("age", "50+"),)
    per_question = PER_QUESTION.replace("question: question", "question: text") + (
        "join: {table: people.csv, key: id}\n"
    )
    (example,), _ = read_all(
        joined(tmp_path, "id,text\nq1,Fruit?\n", per_question, "id,Never,Sometimes,Often\nq1,1,2,1\n")
    )
    assert example.target.input == "Fruit?"


@pytest.mark.parametrize(
    ("people", "task", "line"),
    [
        (
            "id,age,country\n7,a,b\n",
            ICL,
            "no 'who' of table 'food.csv' is among the 'id' of 'people.csv' ('1', '2'",
        ),
        ("id,age,country,answer\n1,a,b,c\n", ICL, "column 'answer' is in 'people.csv' and in a table before it"),
        ("nr,age,country\n1,a,b\n", ICL, "table 'people.csv' has no column 'id'"),
        ("id,age\n1,a\n", ICL, "no column 'country'"),
        (PEOPLE, ICL.replace("who: id", "whom: id"), "table 'food.csv' has no column 'whom', did you mean 'who'?"),
        (PEOPLE, ICL.replace("key: {who: id}", "column: who"), "'join' is not {table: ..., key: ...}"),
        (PEOPLE, ICL.replace("{who: id}", "[who, id]"), "'join' needs 'key'"),
        (
            PEOPLE,
            ICL.replace("food.csv", "hf://datasets/a/b/c.csv").replace("people.csv", "hf://datasets/a/d/c.csv"),
            "name more than one dataset",
        ),
    ],
)
def test_what_cannot_be_joined_is_told_on_one_line(tmp_path, people, task, line):
    with pytest.raises(UserError) as error:
        read_all(joined(tmp_path, people, task))
    assert line in str(error.value)
    assert "\n" not in str(error.value)
