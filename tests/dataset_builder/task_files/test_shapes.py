import json

import pytest

from dataset_builder.task_spec import Draw
from tests.dataset_builder.task_files.tables import (
    ANSWERS,
    PER_ANSWER,
    PER_PERSON,
    PER_QUESTION,
    read_all,
    rows_of,
    written,
)

OPTIONS = ("Never", "Sometimes", "Often")


def test_one_row_per_answer_gives_a_process_per_person(tmp_path):
    examples, noted = read_all(written(tmp_path, PER_ANSWER.format(kind="icl"), ANSWERS))
    assert noted == set()
    assert [example.process for example in examples] == ["ann", "bob", "cy"]
    ann, bob, _ = examples
    assert ann.draws == (Draw("Fruit?", "Often"), Draw("Meat?", "Never"))
    assert ann.options == (OPTIONS,)
    assert ann.descriptions == ("One person answers questions on food. The person is 18-29 years old.",)
    assert bob.descriptions == ("One person answers questions on food.",)  # a missing value leaves its clause out
    assert ann.groups == (("age", "18-29"), ("country", "Chile"))
    assert bob.groups == (("country", "Ghana"),)


def test_one_row_per_answer_gives_the_shares_of_each_question_and_group(tmp_path):
    task = PER_ANSWER.format(kind="distribution") + "by: [country]\nordered: true\nat_least: 1\n"
    examples, _ = read_all(written(tmp_path, task, ANSWERS))
    found = {example.process: example for example in examples}
    assert list(found) == [
        "00000", "00000/country=Chile", "00000/country=Ghana", "00001", "00001/country=Chile", "00001/country=Ghana",
    ]  # fmt: skip
    fruit, ghana = found["00000"].target, found["00000/country=Ghana"]
    assert (fruit.input, fruit.options, fruit.n_responses) == ("Fruit?", OPTIONS, 3)
    assert fruit.probabilities == pytest.approx((1 / 3, 0, 2 / 3))
    assert ghana.target.probabilities == (0.5, 0, 0.5)
    assert ghana.groups == (("country", "Ghana"),)
    assert ghana.ordered


def test_rows_have_their_groups_and_whether_options_are_ordered(tmp_path):
    task = PER_ANSWER.format(kind="[icl, distribution]") + "by: [country]\nordered: true\nat_least: 1\n"
    path = written(tmp_path, task, ANSWERS)
    people, shares = rows_of(path, "food"), rows_of(path, "dist_food")
    assert json.loads(people[0]["groups"]) == {"age": "18-29", "country": "Chile"}
    assert "ordered" not in people[0]
    assert [row["groups"] and json.loads(row["groups"]) for row in shares[:3]] == [
        None, {"country": "Chile"}, {"country": "Ghana"},
    ]  # fmt: skip
    assert {row["ordered"] for row in shares} == {True}


def test_a_weight_counts_an_answer_several_times(tmp_path):
    table = (
        ANSWERS.replace("who,", "w,who,").replace("ann,", "3,ann,").replace("bob,", "1,bob,").replace("cy,", "0,cy,")
    )
    task = PER_ANSWER.format(kind="distribution") + "weight: w\n"
    (fruit, _), noted = read_all(written(tmp_path, task, table))
    assert ("answer whose weight is zero, in shares", 2, "row 5", False) in noted
    assert fruit.target.probabilities == (0.25, 0, 0.75)
    assert fruit.target.n_responses == 2  # the answer that does not count is none of them


def test_one_row_per_person_has_a_column_for_each_question(tmp_path):
    table = "who,age,fruit,meat\nann,18-29,3,1\nbob,,1,\ncy,50+,2,3\n"
    examples, noted = read_all(written(tmp_path, PER_PERSON.format(kind="icl"), table))
    assert [example.process for example in examples] == ["ann", "cy"]
    assert examples[0].draws == (
        Draw("How often do you eat fruit?", "Often"),
        Draw("How often do you eat meat?", "Never"),
    )
    assert noted == {
        ("cell without an answer", 1, "row 2, column 'meat'", False),
        ("answer of a person with fewer than 2 answers", 1, "row 2", False),
    }


def test_questions_of_one_row_per_person_may_be_ordered_on_their_own(tmp_path):
    table = "who,age,fruit,meat\nann,18-29,3,1\nbob,,1,2\n"
    examples, _ = read_all(written(tmp_path, PER_PERSON.format(kind="distribution"), table))
    assert [(example.process, example.ordered) for example in examples] == [("fruit", False), ("meat", True)]
    assert examples[1].target.probabilities == (0.5, 0.5, 0)


def test_a_question_may_be_the_process_whose_draws_are_by_different_people(tmp_path):
    task = PER_ANSWER.format(kind="icl") + 'process: question\ninput: "A person of {{ age }} years."\n'
    task = task.replace('description: [One person answers questions on food., "The person is {{ age }} years old."]',
                        "description: 'Different people answer: {{ question }}'")  # fmt: skip
    examples, _ = read_all(written(tmp_path, task, ANSWERS))
    assert examples[0].descriptions == ("Different people answer: Fruit?",)
    assert examples[0].draws == (
        Draw("A person of 18-29 years.", "Often"), Draw(None, "Never"), Draw("A person of 50+ years.", "Often"),
    )  # fmt: skip


def test_one_row_per_question_has_shares(tmp_path):
    table = "question,Never,Sometimes,Often\nFruit?,0.25,0.25,0.5\nMeat?,1,0,0\n"
    examples, noted = read_all(written(tmp_path, PER_QUESTION, table))
    assert [example.target.probabilities for example in examples] == [(0.25, 0.25, 0.5), (1, 0, 0)]
    assert examples[0].target.n_responses is None
    assert noted == set()


def test_shares_of_several_groups_have_their_groups(tmp_path):
    table = "question,who,Never,Sometimes,Often\nFruit?,Chile,1,1,2\nFruit?,Ghana,4,0,0\nMeat?,,1,1,1\n"
    task = PER_QUESTION + "about: {who: country}\ndescription: [People answered., 'They are from: {{ about }}.']\n"
    path = written(tmp_path, task, table)
    examples, _ = read_all(path)
    assert [example.groups for example in examples] == [(("who", "Chile"),), (("who", "Ghana"),), ()]
    assert examples[0].descriptions == ("People answered. They are from: country: Chile.",)
    assert examples[2].descriptions == ("People answered.",)
    assert "groups" in rows_of(path)[0]


def test_answers_may_be_letters_of_listed_options(tmp_path):
    task = PER_ANSWER.format(kind="icl") + "letters: true\n"
    examples, _ = read_all(written(tmp_path, task, ANSWERS))
    assert examples[0].draws[0] == Draw("Fruit?\nA. Never\nB. Sometimes\nC. Often", "C")
    assert examples[0].options == (("A", "B", "C"),)


def test_options_that_are_found_are_in_order_whatever_the_order_of_rows(tmp_path):
    task = PER_ANSWER.format(kind="distribution").replace("options: [Never, Sometimes, Often]", "options: found")
    lines = ANSWERS.splitlines(keepends=True)
    for table in (ANSWERS, "".join([lines[0], *reversed(lines[1:])])):
        examples, _ = read_all(written(tmp_path, task, table))
        assert {example.target.input: example.target.options for example in examples} == {
            "Fruit?": ("Never", "Often"), "Meat?": ("Never", "Often", "Sometimes"),
        }  # fmt: skip


def test_options_that_begin_with_a_number_are_in_the_order_of_the_numbers(tmp_path):
    task = PER_ANSWER.format(kind="distribution").replace("options: [Never, Sometimes, Often]", "options: found")
    table = "who,age,country,question,answer\n" + "".join(
        f"{who},,,Fruit?,{answer}\n" for who, answer in enumerate(["10 = all", "2 = some", "1 = none", "don't know"])
    )
    (example,), _ = read_all(written(tmp_path, task, table))
    assert example.target.options == ("1 = none", "2 = some", "10 = all", "don't know")


def test_open_answers_have_no_options(tmp_path):
    task = PER_ANSWER.format(kind="icl").replace("options: [Never, Sometimes, Often]", "options: open")
    examples, _ = read_all(written(tmp_path, task, ANSWERS))
    assert examples[0].options == ()


def test_a_person_may_be_told_by_several_columns(tmp_path):
    task = PER_ANSWER.format(kind="icl").replace("person: who", 'person: "{{ country }}/{{ who }}"')
    examples, _ = read_all(written(tmp_path, task, ANSWERS))
    assert [example.process for example in examples] == ["Chile/ann", "Ghana/bob", "Ghana/cy"]


def test_people_without_an_id_are_told_apart_by_their_rows(tmp_path):
    table = "who,age,fruit,meat\n,18-29,3,1\n,,1,2\n"
    task = PER_PERSON.format(kind="icl").replace("person: who\n", "")
    examples, _ = read_all(written(tmp_path, task, table))
    assert [example.process for example in examples] == ["1", "2"]
