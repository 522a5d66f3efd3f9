"""What a task file may say, and what is said of one that is wrong."""

import pytest

from dataset_builder.files import find_files
from dataset_builder.task_files.definition import FetchedTable
from dataset_builder.task_files.read_definition import read_task_file
from dataset_builder.task_files.specs import task_specs
from dataset_builder.task_spec import Mix, Sequences
from spectrum_suite.errors import UserError
from tests.dataset_builder.task_files.tables import ANSWERS, PER_ANSWER, PER_PERSON, PER_QUESTION, read_all, written
from tests.documents import REPOSITORY

ICL = PER_ANSWER.format(kind="icl")


def wrong(tmp_path, text):
    with pytest.raises(UserError) as error:
        read_task_file(written(tmp_path, text, ANSWERS))
    line = str(error.value)
    assert "\n" not in line
    return line


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    text = ICL + "colour: red\nhold_out: {people: 20}\nordered: maybe\nby: [wealth]\n"
    line = wrong(tmp_path, text.replace("title", "titel").replace("cc-by-4.0", "[a]"))
    for part in (
        "food.yaml:1: 'titel' is not a key, did you mean 'title'?",
        "'colour' is not a key",
        "'hold_out.people' is 20: give a share between 0 and 1",
        "'ordered' is 'maybe': give true or false",
        "'licence' is ['a']: give a text",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[1, 2]", "does not hold names with values: write lines such as 'table: food.csv'"),
        ("table: [", "food.yaml:1: not YAML"),
        ("questions: {a: Why?, b: No}", "put text with '?'"),
        ("title: x\n", "'table' is not there"),
        (ICL.replace("one_row_per: answer\n", ""), "'one_row_per' is missing"),
        (ICL.replace("answer: answer\n", ""), "'answer' is missing: a table with one row per answer needs it"),
        (ICL + "questions: [a]\n", "'questions' does not go with one row per answer"),
        (ICL + "weight: w\n", "'weight' is for kind distribution"),
        (ICL + "by: [age]\n", "'by' is for kind distribution"),
        (ICL.replace("icl", "distribution") + "by: [wealth]\n", "'by' has 'wealth', which is not in 'about'"),
        (ICL + "split: test\nhold_out: {people: 0.2}\n", "'split: test' holds out the whole task"),
        (ICL.replace("[Never, Sometimes, Often]", "[Never]"), "needs at least two different answers"),
        (ICL.replace("{{ age }}", "{{ age "), "is not a Jinja template"),
        (ICL.replace("about: [age, country]\n", "") + "input: '{{ about }}'\n", "'{{ about }}' has nothing to say"),
        (ICL + "sequences: {mode: all}\n", "'sequences' has a wrong mode"),
        (ICL + "task: Food!\n", "'task' is 'Food!': use a-z, 0-9 and '_'"),
        (PER_QUESTION + "kind: icl\n", "'kind' of a table with one row per question is distribution"),
        (PER_QUESTION.replace("options: [Never, Sometimes, Often]\n", ""), "are the columns with their shares"),
        (PER_QUESTION + "weight: w\n", "'weight' does not go with one row per question"),
        (PER_PERSON.format(kind="icl").replace("ordered: true", "odd: true"), "'questions.meat' is neither a text nor"),
    ],
)
def test_each_mistake_is_told_on_one_line(tmp_path, text, part):
    assert part in wrong(tmp_path, text)


def test_a_column_of_a_sentence_that_the_table_lacks_is_told(tmp_path):
    path = written(tmp_path, ICL.replace("{{ age }}", "{{ aage }}"), ANSWERS)
    with pytest.raises(UserError, match="no column 'aage', did you mean 'age'"):
        read_all(path)


def test_a_sentence_cannot_leave_the_sandbox(tmp_path):
    path = written(tmp_path, ICL.replace("{{ age }}", "{{ age.__class__.__mro__ }}"), ANSWERS)
    with pytest.raises(UserError, match="access to attribute '__class__' of 'str' object is unsafe"):
        read_all(path)


def test_sentences_see_columns_with_any_name_and_whether_a_value_is_missing(tmp_path):
    text = ICL.replace("about: [age, country]\n", "").replace(
        'description: [One person answers questions on food., "The person is {{ age }} years old."]',
        """description: ['{{ row["home country"] }}', '{% if age %}Told.{% else %}Untold.{% endif %}',
                          'Aged {{ age | default("somehow") }}.']""",
    )
    examples, _ = read_all(written(tmp_path, text, ANSWERS.replace("country", "home country")))
    assert [example.descriptions for example in examples[:2]] == [
        ("Chile Told. Aged 18-29.",), ("Ghana Untold. Aged somehow.",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("a/b.csv", "a/b.csv"),
        ("hf://datasets/org/food/data/a.csv", FetchedTable("data/a.csv", dataset="org/food")),
        ("hf://datasets/org/food@v1/a.csv", FetchedTable("a.csv", dataset="org/food", revision="v1")),
        ("https://example.org/x/a.csv?b=1", FetchedTable("a.csv", url="https://example.org/x/a.csv?b=1")),
        (
            "{dataset: org/food, config: big, split: test}",
            FetchedTable("org-food-big-test.parquet", dataset="org/food", config="big", split="test"),
        ),
    ],
)
def test_a_table_may_be_anywhere(tmp_path, table, expected):
    path = written(tmp_path, ICL.replace("table: food.csv", f"table: {table}"), ANSWERS)
    assert read_task_file(path).table == expected


def test_a_table_that_is_not_there_is_told(tmp_path):
    (spec, *_) = task_specs(written(tmp_path, ICL.replace("food.csv", "fod.csv"), ANSWERS))
    with pytest.raises(UserError, match=r"file 'fod.csv' not found in .*: put it there, or check its name"):
        find_files(spec, None)


def test_what_a_file_says_is_in_its_tasks(tmp_path):
    text = ICL + (
        "task: lunch\nsource: canteen\nversion: 2.1.0\nlanguages: [de, en]\ngroup: uncertainty\nhomepage: https://e.org\n"
        "sequences: {mode: partition, mean_length: 20}\nsummary: Lunch\nhold_out: {people: 0.5}\n"
    )
    train, test = task_specs(written(tmp_path, text, ANSWERS))
    assert (train.name, test.name) == ("lunch", "lunch_new_people")
    assert (train.split, test.split) == ("train", "test")
    assert (train.source.name, train.source.license, train.source.homepage) == ("canteen", "cc-by-4.0", "https://e.org")
    assert train.sequences == Sequences("partition", Mix(20))
    assert (train.version, train.languages, train.group) == ("2.1.0", ("de", "en"), "uncertainty")
    assert test.summary == "Lunch. Only people who are not in the training part."


def test_a_pattern_stands_for_the_columns_that_fit_it_and_are_not_used_otherwise(tmp_path):
    text = (
        "table: food.csv\none_row_per: person\nperson: q_id\nabout: [q_age]\n"
        "questions: {q_age2: Older, 'q*': null}\noptions: ['1', '2']\n"
    )
    table = "q_id,q_age,q_age2,q1,other,q2\na,20,1,2,1,1\n"
    (example,), _ = read_all(written(tmp_path, text, table))
    assert [draw.input for draw in example.draws] == ["Older", "q1", "q2"]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes" / "tasks").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_files_that_come_with_the_project_are_right(path):
    specs = task_specs(path)
    assert {spec.kind for spec in specs} == {"icl", "distribution"}
    assert {spec.split for spec in specs} == {"train", "test"}
    (file,) = (file for file in specs[0].source.files if not file.path.endswith(".yaml"))
    assert file.sha256 or (path.parent / file.path).is_file()
