import numpy as np
import pytest

from dataset_builder.sequences import cut
from dataset_builder.task_spec import Mix, Sequences


def rows(n_draws, how, *key):
    return [row.tolist() for row in cut(n_draws, how, *(key or (42, "task", "process")))]


@pytest.mark.parametrize("length", [1, 7, 1000, Mix(8), None])
def test_partition_uses_every_draw_once(length):
    cut_rows = rows(503, Sequences("partition", length))
    assert sorted(i for row in cut_rows for i in row) == list(range(503))
    assert [i for row in cut_rows for i in row] != list(range(503))  # and shuffles them


def test_partition_of_fixed_length_leaves_the_rest_in_the_last_row():
    assert [len(row) for row in rows(70, Sequences("partition", 30))] == [30, 30, 10]


def test_one_row_per_process_holds_all_draws_or_so_many():
    (whole,) = rows(50, Sequences("one"))
    assert sorted(whole) == list(range(50))
    (part,) = rows(50, Sequences("one", 20))
    assert len(part) == len(set(part)) == 20
    assert set(part) <= set(range(50))
    assert [len(row) for row in rows(5, Sequences("one", 20))] == [5]


def test_no_row_is_longer_than_the_release_allows():
    assert [len(row) for row in rows(6000, Sequences("one"))] == [5000]
    assert [len(row) for row in rows(12_001, Sequences("partition"))] == [5000, 5000, 2001]
    assert [len(row) for row in rows(6000, Sequences("one", 5999))] == [5000]


def test_several_rows_are_drawn_independently_and_a_row_depends_on_its_number_only():
    few, many = rows(40, Sequences("several", 10, 3)), rows(40, Sequences("several", 10, 30))
    assert many[:3] == few
    assert all(len(set(row)) == 10 for row in many)
    assert len({tuple(row) for row in many}) == 30
    counts = np.bincount(np.concatenate(many), minlength=40)
    assert counts.max() > 1  # draws recur between rows, unlike in a partition


def test_rows_depend_on_every_part_of_the_key():
    base = rows(40, Sequences("one"), 42, "task", "process")
    assert base == rows(40, Sequences("one"), 42, "task", "process")
    for key in [(43, "task", "process"), (42, "other", "process"), (42, "task", "other")]:
        assert base != rows(40, Sequences("one"), *key)


@pytest.mark.parametrize("mean", [4, 64, 128])
def test_mix_lengths_have_the_mean_and_spread_of_their_definition(mean):
    # Geometric(2/m) has mean m/2 and variance m^2/4 - m/2; Poisson(m/2) has mean and variance m/2: in all m and m^2/4.
    n = 4000
    lengths = np.array([len(rows(3000, Sequences("one", Mix(mean)), "mix", i)[0]) for i in range(n)])
    assert lengths.min() >= 1
    assert abs(lengths.mean() - mean) < 4 * (mean / 2) / np.sqrt(n)
    assert lengths.std() == pytest.approx(mean / 2, rel=0.1)
