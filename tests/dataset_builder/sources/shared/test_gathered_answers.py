"""Answers of many people, gathered by question."""

import pytest

from dataset_builder.files import find_files
from dataset_builder.registry import all_tasks, get_task
from dataset_builder.sources.shared.gathered_answers import read_by_question
from dataset_builder.suite_builder import read_examples
from dataset_builder.task_spec import Draw, Dropped, Example
from tests.conftest import FIXTURES

TASKS = [spec for spec in all_tasks() if spec.name.startswith("dist_train_") and spec.read is not None]
NAMES = [spec.name for spec in TASKS]
TOLD = ("Different people answer.",)


def people(*items):
    return lambda raw_files: iter(items)


def test_shares_and_numbers_of_answers():
    found = list(
        read_by_question(
            people(
                Example("a", ("Ann.",), (Draw("Tea?", "Yes"), Draw("Rain?", "No"))),
                Dropped("row without an answer", 3),
                Example("b", ("Bob.",), (Draw("Tea?", "Yes"),)),
                Example("c", (), (Draw("Tea?", "No"), Draw("Snow?", "Yes"))),
            ),
            ("Yes", "No", "Unsure"),
            TOLD,
            {},
        )
    )
    (tea,) = (item for item in found if isinstance(item, Example))
    assert (tea.process, tea.descriptions, tea.target.input) == ("00000", TOLD, "Tea?")
    assert tea.target.options == ("Yes", "No", "Unsure")
    assert tea.target.probabilities == (2 / 3, 1 / 3, 0.0)
    assert tea.target.n_responses == 3
    few = Dropped("answer to a question with fewer than 2 answers")
    assert [item for item in found if isinstance(item, Dropped)] == [Dropped("row without an answer", 3), few, few]


def test_questions_with_options_of_their_own_stay_apart():
    """The same text with other options is another question; what has no options is counted."""
    two, three = ("A", "B"), ("A", "B", "C")
    found = list(
        read_by_question(
            people(
                Example("a", (), (Draw("Which?", "A"), Draw("Where?", "B")), options=(two, three)),
                Example("b", (), (Draw("Which?", "B"), Draw("Where?", "C")), options=(two, three)),
                Example("c", (), (Draw("Which?", "C"),), options=(three,)),
                Example("d", (), (Draw("Why?", "Because."),)),
            ),
            None,
            TOLD,
            {},
        )
    )
    targets = [item.target for item in found if isinstance(item, Example)]
    assert [(target.input, target.options) for target in targets] == [("Which?", two), ("Where?", three)]
    assert targets[1].probabilities == (0.0, 0.5, 0.5)
    assert Dropped("answer to a question without closed answers") in found


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_of_the_fixtures_is_there_or_counted(name):
    spec = get_task(name)
    (people_task,) = (each for each in all_tasks() if f"`{each.name}`" in spec.quirks)
    files = find_files(spec, FIXTURES, allow_missing=True).found
    items = list(read_examples(spec, files, 42))
    examples = [item for item in items if isinstance(item, Example)]
    assert examples
    assert all(item.target.n_responses >= 2 for item in examples)
    before = list(read_examples(people_task, files, 42))
    answers = sum(len(item.draws) for item in before if isinstance(item, Example))
    left_out = sum(item.rows for item in items if isinstance(item, Dropped))
    dropped_before = sum(item.rows for item in before if isinstance(item, Dropped))
    assert sum(item.target.n_responses for item in examples) + left_out == answers + dropped_before


def test_no_source_has_a_held_out_task():
    held_out = {spec.source.name for spec in all_tasks() if spec.split == "test"}
    assert not held_out & {spec.source.name for spec in TASKS}
