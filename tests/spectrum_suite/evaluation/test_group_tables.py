"""Tables by group and by question hold the means of the items that are in them."""

import json
import math

import numpy as np
import pytest
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.group_tables import (
    alignment_tables,
    check_attributes,
    groups_by,
    question_of,
    steerability_tables,
)
from spectrum_suite.evaluation.intervals import mean_of
from spectrum_suite.evaluation.show_groups import SHOWN, groups_figure, groups_markdown, questions_markdown
from spectrum_suite.evaluation.steerability.score_steerability import ScoredSequence


def asked(*texts):
    return [{"role": "description", "content": "A person."}, *({"role": "input", "content": text} for text in texts)]


def scored(divergence):
    rest = {"coverage": 0.5, "mode_match": 1.0}
    return {"scores": {"js_divergence": divergence, **rest}, "uniform": {"js_divergence": 0.4}}


ROWS = [
    {"id": str(place), "messages": asked(question), "groups": json.dumps(groups) if groups else None, "wave": place % 2}
    for place, (question, groups) in enumerate(
        [
            ("Tea?", {"age": "9", "country": "Côte d'Ivoire"}),
            ("Tea?", {"age": "10"}),
            ("Milk?", {"age": "9"}),
            ("Milk?", {"age": "10"}),
            ("Rice?", None),
        ]
    )
]
ITEMS = [scored(divergence) for divergence in (0.1, 0.2, 0.3, 0.6, math.nan)]


def test_groups_are_of_the_column_or_a_column_of_that_name():
    rows = Dataset.from_list(ROWS)
    assert groups_by(rows, ("age", "country", "wave", "sex")) == {
        "age": ["9", "10", "9", "10", None],
        "country": ["Côte d'Ivoire", None, None, None, None],
        "wave": ["0", "1", "0", "1", "0"],
    }
    structs = Dataset.from_list([{"groups": {"age": 9, "sex": None}}, {"groups": {"age": 10, "sex": None}}])
    assert groups_by(structs, ("age", "sex")) == {"age": ["9", "10"]}


@pytest.mark.parametrize("cell", ["young", "[1]", "3"])
def test_a_cell_that_is_no_object(cell):
    with pytest.raises(UserError, match="row 0: its 'groups' is"):
        groups_by(Dataset.from_list([{"groups": cell}]), ("age",))


def test_attributes_that_no_task_has_are_refused():
    tasks = {"food": Dataset.from_list(ROWS), "dice": Dataset.from_list([{"id": "d"}])}
    check_attributes(("age", "wave"), tasks)
    with pytest.raises(
        UserError, match=r"--by 'ages': no row of food, dice has it, did you mean 'age'.*; there are age"
    ):
        check_attributes(("age", "ages"), tasks)
    with pytest.raises(UserError, match="--by 'age' is for steerability and alignment"):
        check_attributes(("age",), {})


def test_means_of_items_by_group_and_question():
    found = alignment_tables(ITEMS, Dataset.from_list(ROWS), ("age", "country"))
    assert list(found["by"]["age"]) == ["9", "10"]  # by their size
    nine = found["by"]["age"]["9"]
    assert (nine["n"], nine["js_divergence"]["mean"], nine["js_divergence"]["n"]) == (2, pytest.approx(0.2), 2)
    assert nine["js_divergence"]["ci95"] == [pytest.approx(0.1), pytest.approx(0.3)]
    assert nine["uniform"]["mean"] == pytest.approx(0.4)
    assert found["by"]["country"]["Côte d'Ivoire"]["n"] == 1
    tea, milk, rice = found["questions"]
    assert (tea["question"], tea["n"], tea["js_divergence"]["mean"]) == ("Tea?", 2, pytest.approx(0.15))
    assert milk["js_divergence"]["mean"] == pytest.approx(0.45)
    assert (rice["n"], rice["js_divergence"]["n"]) == (1, 0)
    assert math.isnan(rice["js_divergence"]["mean"])
    assert "by" not in alignment_tables(ITEMS, Dataset.from_list(ROWS), ())


def test_intervals_are_those_of_a_bootstrap_over_items():
    values = np.random.default_rng(1).normal(size=60)
    rows = [row | {"groups": '{"age": "old"}'} for row in ROWS[:1]] * 60
    found = alignment_tables([scored(value) for value in values], Dataset.from_list(rows), ("age",))
    cell = found["by"]["age"]["old"]["js_divergence"]
    assert cell["ci95"] == pytest.approx(mean_of(values)["ci95"], abs=0.03)
    assert cell["ci95"] == pytest.approx(values.mean() + np.array([-1.96, 1.96]) * values.std() / 60**0.5, abs=0.03)


def sequence(name, losses, answers):
    k = tuple(range(len(losses)))
    log_probs = tuple((math.log(0.8), math.log(0.2)) for _ in k)
    return ScoredSequence(name, "", k, tuple(losses), (1,) * len(k), tuple(answers), log_probs, (0,) * len(k))


def draws(name, *questions, age):
    turns = []
    for question in questions:
        turns += [{"role": "input", "content": question}, {"role": "output", "content": "yes"}]
    return {"id": name, "messages": turns, "groups": json.dumps({"age": age})}


def test_questions_of_people_and_groups_of_people():
    rows = [
        draws("ann", "Tea?", "Milk?", "Rice?", age="old"), draws("left out", "Tea?", "Milk?", age="old"),
        draws("bob", "Rice?", "Milk?", "Once?", age="young"),
    ]  # fmt: skip
    sequences = [sequence("ann", (9.0, 1.0, 2.0), (0, 0, 1)), sequence("bob", (9.0, 3.0, 5.0), (0, 1, 0))]
    found = steerability_tables(sequences, Dataset.from_list(rows), ("age",), lambda part: {"n": len(part)})
    assert found["by"] == {"age": {"old": {"n": 1}, "young": {"n": 1}}}
    (milk,) = found["questions"]  # outputs without an example before them, and what was asked once, are left out
    assert (milk["question"], milk["n"]) == ("Milk?", 2)
    assert (milk["loss"]["mean"], milk["accuracy"]["mean"]) == (2.0, 0.5)


def test_what_is_asked_at_last():
    assert question_of(asked("One?", " Two\n?")) == "Two ?"
    assert question_of(asked()) == "A person."


@pytest.fixture
def report():
    section = alignment_tables(ITEMS, Dataset.from_list(ROWS), ("age", "country")) | {"n": 5}
    for each in section["questions"]:
        each["js_divergence"] |= {} if each["js_divergence"]["n"] else {"mean": None, "ci95": [None, None]}
    return {"alignment": {"food": section}, "steerability": {}}


def test_tables_for_people(report):
    text = groups_markdown(report)
    assert "| 9 | 2 | 0.200 [0.100, 0.300] | 0.400 [0.400, 0.400] |" in text
    assert text.index("### food by age") < text.index("### food by country") < text.index("plots/groups-food.png")
    questions = questions_markdown(report)
    assert questions.startswith("### food, 2 questions\n")  # one has no score
    assert questions.index("| Milk? |") < questions.index("| Tea? |")  # the furthest first
    many = report["alignment"]["food"]["questions"][:1] * 21
    report["alignment"]["food"]["questions"] = many
    assert "### food, 21 questions, the 5 that the model is furthest from" in questions_markdown(report)
    assert questions_markdown({"alignment": {"dice": {"questions": many[:1]}}, "steerability": {}}) == ""


def test_the_figure_has_the_means_and_the_intervals(report):
    figure = groups_figure("food", report["alignment"]["food"], SHOWN["alignment"])
    age, country = figure.axes
    assert [label.get_text() for label in age.get_yticklabels()] == ["9 (2)", "10 (2)"]
    assert age.lines[0].get_xdata() == pytest.approx([0.2, 0.4])
    (bars,) = age.collections
    ends = [sorted(segment[:, 0]) for segment in bars.get_segments()]
    assert ends == [pytest.approx([0.1, 0.3]), pytest.approx([0.2, 0.6])]
    assert country.get_ylabel() == "country"
    assert age.get_xlim() == country.get_xlim()
    assert age.get_xlim()[0] == 0
    assert age.get_xlim()[1] > 0.6  # no interval goes beyond
