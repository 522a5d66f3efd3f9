"""What is guessed of a table, and that it is a task file that works."""

import json

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import yaml

from dataset_builder.commands import main
from dataset_builder.task_files.new_task import new_task
from dataset_builder.task_files.read_definition import read_task_file
from tests.dataset_builder.task_files.tables import read_all
from tests.dataset_builder.task_files.workbooks import write_excel
from tests.documents import REPOSITORY


def guessed(tmp_path, table, name="table.csv"):
    path = tmp_path / name
    path.write_text(table)
    text = new_task(path, tmp_path)
    file = tmp_path / "guess.yaml"
    file.write_text(text)
    return yaml.safe_load(text), text, file


def people(n=30):
    rng = np.random.default_rng(0)
    rows = [
        f"{10_000 + i},{['M', 'F'][i % 2]},{['old', 'young'][i % 3 % 2]},2024-01-{i % 28 + 1:02d},"
        f"{rng.choice(['Yes', 'No', 'yes'])},{rng.integers(1, 6)},Some long remark number {i}"
        for i in range(n)
    ]
    return "Response ID,Gender,Age group,Submit date,Do you cook?,How much?,Comments\n" + "\n".join(rows) + "\n"


def test_one_row_per_person_is_told_by_ids_that_no_two_rows_share(tmp_path):
    found, text, file = guessed(tmp_path, people())
    assert (found["one_row_per"], found["person"]) == ("person", "Response ID")
    assert found["about"] == ["Gender", "Age group"]
    assert list(found["questions"]) == ["Do you cook?", "How much?"]
    assert found["questions"]["Do you cook?"]["options"] == ["No", "Yes"]
    assert found["questions"]["How much?"]["options"] == ["1", "2", "3", "4", "5"]
    assert "Say what they mean" in text
    assert "# not used: Comments, which is not a question by its name" in text
    examples, _ = read_all(file)
    assert len(examples) == round(0.8 * 30)


def test_one_row_per_answer_is_told_by_pairs_that_no_two_rows_share(tmp_path):
    found, text, file = guessed(tmp_path, (REPOSITORY / "recipes/tasks/food.csv").read_text(), "food.csv")
    keys = {key: found[key] for key in ("one_row_per", "person", "question", "answer", "about")}
    assert keys == {
        "one_row_per": "answer", "person": "respondent", "question": "question", "answer": "answer",
        "about": ["age", "country"],
    }  # fmt: skip
    assert sorted(found["options"]) == ["Always", "Never", "Often", "Seldom", "Sometimes"]
    assert "guessed, since 'respondent' and 'question' recur, and 100% of rows have a pair of their own" in text
    assert read_all(file)[0]


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ("Fruit?,25,75,\nMeat?,50,50,\n", None),
        ("Fruit?,.25,.75,\nMeat?,1,0,\n", None),
        ("Fruit?,3,4,7\nMeat?,5,0,5\n", "n"),
    ],
)
def test_one_row_per_question_is_told_by_sums(tmp_path, rows, total):
    found, _, file = guessed(tmp_path, f"question,Never,Often,n\n{rows}")
    assert (found["one_row_per"], found["question"], found["options"]) == ("question", "question", ["Never", "Often"])
    assert found.get("responses") == total
    read_task_file(file)


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ("question,Yes,No\nA?,3,4\nB?,8,1\nTotal,11,5\n", None),
        ("question,Yes,No,Total\nA?,10,20,30\nB?,11,19,30\n", "Total"),
        ("question,Yes,No,Total\nA?,.25,.75,1.00\nB?,.5,.5,1.00\n", None),
        ("question,Yes,No,Sum\nA?,25%,75%,100%\nB?,50%,50%,100%\n", None),
        ("No.,question,Yes,No\n1,A?,25,75\n2,B?,50,50\n", None),
    ],
    ids=["row of totals", "counts", "whole of shares", "whole of percentages", "numbered rows"],
)
def test_no_is_an_answer_and_the_whole_of_shares_is_no_number_of_answers(tmp_path, rows, total):
    found, _, file = guessed(tmp_path, rows)
    assert (found["one_row_per"], found["question"], found["options"]) == ("question", "question", ["Yes", "No"])
    assert found.get("responses") == total
    examples, _ = read_all(file)
    assert {example.target.n_responses for example in examples} <= {None, 7, 9, 30}


def test_shares_by_group_are_told_by_pairs_that_no_two_rows_share(tmp_path):
    rows = [f"{question},{group},{n},{100 - n}\n" for n, question in enumerate(["Fruit?", "Meat?"])
            for group in ("Democrats", "Republicans")]  # fmt: skip
    found, text, file = guessed(tmp_path, "".join(["question,party,Yes,No\n", *rows]))
    assert (found["one_row_per"], found["question"], found["options"]) == ("question", "question", ["Yes", "No"])
    assert found["about"] == ["party"]
    assert "no two rows have the same 'question' and 'party'" in text
    examples, _ = read_all(file)
    assert [example.groups[0] for example in examples] == 2 * [("party", "Democrats"), ("party", "Republicans")]
    assert examples[0].descriptions[0].endswith("About these people: party: Democrats.")


def test_codes_for_no_answer_are_guessed_and_said(tmp_path):
    rows = [
        f"{i},{(20, 30, -99)[i % 3]},{(1, 2, 3, -99, 99)[i % 5]},{('Yes', '-', 'No', 'No')[i % 4]}" for i in range(30)
    ]
    found, text, file = guessed(tmp_path, "\n".join(["id,age,q1,q2", *rows]) + "\n")
    assert found["also_missing"] == ["-99", "99"]
    assert "# guessed: codes that mean there is no answer" in text
    assert found["questions"]["q1"]["options"] == ["1", "2", "3"]
    assert found["questions"]["q2"]["options"] == ["No", "Yes"]
    examples, _ = read_all(file)
    assert {value for example in examples for _, value in example.groups} == {"20", "30"}


def test_a_header_below_a_title_is_guessed_and_said(tmp_path):
    found, _, file = guessed(tmp_path, "Survey of 2024,,,,,,\n,,,,,,\n" + people())
    assert (found["header"], found["person"]) == ([3], "Response ID")
    assert len(read_all(file)[0]) == round(0.8 * 30)


def test_columns_with_a_value_of_its_own_in_each_row_are_no_questions(tmp_path):
    rows = [f"{1000 + i},{1950 + i},{('Yes', 'No')[i % 2]}" for i in range(9)]
    found, text, _ = guessed(tmp_path, "\n".join(["case id,born in,q", *rows]) + "\n")
    assert list(found["questions"]) == ["q"]
    assert "# not used: born in, which has no value twice" in text


def test_the_labels_of_a_file_say_what_its_columns_about_people_are(tmp_path):
    columns = {"ID": range(12), "SEX": [1.0, 2.0] * 6, "Q1": [1.0, 2.0, 3.0] * 4, "Q2": [1.0, 2.0] * 6}
    labels = ["Identifier", "Sex of respondent", "Happy?", "Healthy?"]
    pyreadstat.write_sav(pd.DataFrame(columns), str(tmp_path / "t.sav"), column_labels=labels)
    assert "about: {SEX: Sex of respondent}" in new_task(tmp_path / "t.sav", tmp_path)


def test_categories_in_an_order_are_the_options_in_that_order(tmp_path):
    scale = pd.CategoricalDtype(["never", "often ", "always", "no idea", "NA"], ordered=True)
    columns = {"id": range(12), "Tea?": pd.Series(["often ", "never", "always"] * 4, dtype=scale),
               "Milk?": pd.Series(["b", "a", "b"] * 4, dtype=pd.CategoricalDtype(["b", "unused", "a"]))}  # fmt: skip
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    text = new_task(tmp_path / "t.parquet", tmp_path)
    assert yaml.safe_load(text)["questions"] == {
        "Tea?": "Tea?", "Milk?": {"text": "Milk?", "options": ["a", "b"]},
    }  # fmt: skip
    (tmp_path / "t.yaml").write_text(text)
    examples, _ = read_all(tmp_path / "t.yaml")
    assert examples[0].options[0] == ("never", "often", "always", "no idea")


def test_the_first_sheet_with_a_table_is_guessed_and_said(tmp_path):
    pytest.importorskip("fastexcel")
    data = [["id", "Tea?", "Milk?"], *([i, ["yes", "no"][i % 2], ["a", "b"][i % 2]] for i in range(12))]
    sheets = {"Read me": [["The survey of 2024."], ["See below"]], "Data": data, "Other": data[:3]}
    write_excel(tmp_path / "t.xlsx", sheets)
    text = new_task(tmp_path / "t.xlsx", tmp_path)
    assert "sheet: Data  # guessed: the first that holds a table; the others are Read me, Other" in text
    assert list(yaml.safe_load(text)["questions"]) == ["Tea?", "Milk?"]
    write_excel(tmp_path / "one.xlsx", {"Data": data})
    assert "sheet" not in new_task(tmp_path / "one.xlsx", tmp_path)


def test_an_object_is_not_used_besides_its_fields(tmp_path):
    lines = [{"user": {"id": f"u{i // 3}", "age": 20 + i // 6}, "question": "ABC"[i % 3], "answer": "xy"[i % 2]}
             for i in range(30)]  # fmt: skip
    found, _, file = guessed(tmp_path, "\n".join(map(json.dumps, lines)), "t.jsonl")
    assert (found["person"], found["about"]) == ("user.id", ["user.age"])
    assert read_all(file)[0]


def test_an_id_is_told_besides_an_empty_row_and_one_of_totals(tmp_path):
    rows = [f"{i},{(1, 2, 3)[i % 3]},{'ab'[i % 2]}" for i in range(12)]
    _, _, file = guessed(tmp_path, "\n".join(["id,q1,q2", *rows, ",,", "Total,24,"]) + "\n")
    examples, _ = read_all(file)
    assert examples[0].options[0] == ("1", "2", "3")


def test_a_single_question_makes_no_draws_of_people(tmp_path):
    rows = [f"{i},{'xyz'[i % 3]}" for i in range(12)]
    found, _, file = guessed(tmp_path, "\n".join(["Lfd. Nr.,Tea?", *rows]) + "\n")
    assert (found["person"], found["kind"]) == ("Lfd. Nr.", "distribution")
    assert read_all(file)[0]


def test_what_looks_like_data_on_people_is_said(tmp_path):
    table = people().replace("Some long remark number 3", "write to x.y@mail.example.org")
    _, text, _ = guessed(tmp_path, table)
    assert "# MIND: column 'Comments' looks like an e-mail address" in text


def test_columns_with_the_same_name_or_none_are_not_used(tmp_path):
    table = people().replace("Do you cook?,How much?", ",How much?").replace("Submit date", "Gender")
    found, text, _ = guessed(tmp_path, table)
    assert "Gender" not in str(found)
    assert "# not used: Gender, which has the name of another column" in text
    assert '# not used: "", which has no name' in text


def test_the_command_does_not_write_over_a_file(tmp_path, capsys):
    (tmp_path / "t.csv").write_text(people())
    main(["new-task", str(tmp_path / "t.csv")])
    assert (tmp_path / "t.yaml").is_file()
    with pytest.raises(SystemExit) as stopped:
        main(["new-task", str(tmp_path / "t.csv")])
    assert stopped.value.code == 2
    assert "exists: give another --output" in capsys.readouterr().err
