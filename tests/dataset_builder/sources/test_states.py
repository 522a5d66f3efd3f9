"""The request for a U.S. state: uniform over the fifty."""

from dataset_builder.sources import states
from spectrum_suite.seeding import generator

[TASK] = states.TASKS


def test_the_states():
    example = TASK.generate(generator(42, "dist_states", "process", 0), 0)
    assert TASK.n_processes == 1
    assert example.descriptions == ()
    assert "uniformly at random" in example.target.input
    assert len(example.target.options) == 50
    assert sorted(example.target.options) == list(example.target.options)
    assert {state[0] for state in example.target.options} == set("ACDFGHIKLMNOPRSTUVW")
    assert sum(len(state.split()) for state in example.target.options) == 60  # ten names of two words
    assert example.target.probabilities == (0.02,) * 50


def test_held_out_with_the_label_of_the_catalogue():
    assert (TASK.kind, TASK.split, TASK.output_label) == ("distribution", "test", "Response (state)")
