"""Rows of a batch are of similar length, in an order that seed and epoch alone decide."""

import pytest
from datasets import Dataset
from torch.utils.data import DataLoader

from spectrum_suite.training.batches import WINDOW, GroupedByLength
from spectrum_suite.training.collator import Sequenced, SpectrumCollator
from spectrum_suite.training.draw_tree import DrawTree

LENGTHS = [(17 * number) % 60 + 1 for number in range(403)]


@pytest.fixture(scope="module")
def rows():
    """Row i has one draw of so many tokens as ``LENGTHS`` says, and half of the descriptions are long."""
    return Dataset.from_list(
        [
            {
                "id": str(row), "row": row, "description": [3] * (40 if row % 2 else 1),
                "contexts": [[5]] * 2, "outputs": [[7] * length] * 2,
            }
            for row, length in enumerate(LENGTHS)
        ]
    )  # fmt: skip


def sampler(rows, *, epoch=0, seed=1, batch_size=4, **options):
    settings = {"start": [1], "separator": [], "pad_token_id": 0, "max_length": 500, "description_dropout": 0.5}
    collator = SpectrumCollator(**settings | options)
    collator.set_epoch(epoch)
    return GroupedByLength(rows, collator, batch_size=batch_size, seed=seed)


def padding_share(rows, indices, collator, size=4):
    seen = total = 0
    for start in range(0, len(indices), size):
        mask = collator([rows[index] for index in indices[start : start + size]])["attention_mask"]
        seen, total = seen + int(mask.sum()), total + mask.numel()
    return 1 - seen / total


def test_batches_are_of_one_length_as_the_collator_makes_them(rows):
    grouped = sampler(rows)
    assert padding_share(rows, list(range(len(rows))), grouped.collator) > 0.25
    assert padding_share(rows, list(grouped), grouped.collator) < 0.02


def test_trees_share_a_line_in_whatever_order_they_come(rows):
    assert padding_share(rows, list(range(len(rows))), sampler(rows, branching=1.0).collator) == 0


def test_every_row_is_there_once_and_an_incomplete_batch_comes_last(rows):
    grouped = sampler(rows)
    found = list(grouped)
    assert sorted(found) == list(range(len(rows)))
    assert len(grouped) == len(rows)
    lengths = grouped.collator.lengths(rows.select(found))
    last_window = len(rows) - len(rows) % (WINDOW * 4)
    assert min(lengths[last_window:]) == lengths[-1]


def test_the_longest_batch_of_the_first_window_comes_first(rows):
    grouped = sampler(rows)
    lengths = grouped.collator.lengths(rows.select(list(grouped)))[: WINDOW * 4]
    assert lengths[:4] == sorted(lengths, reverse=True)[:4]
    assert lengths != sorted(lengths, reverse=True)


def test_the_order_is_that_of_seed_and_epoch(rows):
    orders = {(seed, epoch): tuple(sampler(rows, seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}
    assert len(set(orders.values())) == 4
    assert tuple(sampler(rows, seed=2, epoch=1)) == orders[2, 1]


@pytest.mark.parametrize("options", [{}, {"packing": True}, {"branching": 0.5}, {"targets": True}])
def test_a_row_is_put_together_once_in_an_epoch(rows, monkeypatch, options):
    made = []
    for kind in (Sequenced, DrawTree):
        counted = lambda kind=kind: made.append(kind) or kind()  # noqa: E731
        monkeypatch.setattr(f"spectrum_suite.training.collator.{kind.__name__}", counted)
    grouped = sampler(rows, **options)
    for epoch in range(2):
        grouped.collator.set_epoch(epoch)
        loader = DataLoader(rows, batch_size=4, sampler=grouped, collate_fn=grouped.collator)
        tokens = sum(int(batch["attention_mask"].sum()) for batch in loader)
        assert len(made) == len(rows)
        made.clear()
        assert tokens == sum(grouped.collator.lengths(rows))
        made.clear()
