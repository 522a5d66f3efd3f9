from collections import Counter

import pytest
import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import FORMATS, get_format, split_messages
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows

D, X1, X2, Y1, Y2 = [10, 11], [20], [21], [30, 31], [32]
ROW = {"id": "r", "row": 0, "description": D, "contexts": [X1, X2], "outputs": [Y1, Y2]}


def collator(**options):
    settings = {"start": [1], "separator": [7], "pad_token_id": 0, "max_length": 50, "description_dropout": 0.0}
    return SpectrumCollator(**settings | options)


def trained_ids(sequence):
    return [token for token in sequence.labels if token != IGNORED]


def many_draws(count, row=0, description=D):
    """A row whose draw i has the context 100 + i and the output 200 + i, 300 + i."""
    contexts, outputs = [[100 + i] for i in range(count)], [[200 + i, 300 + i] for i in range(count)]
    return {"id": f"row{row}", "row": row, "description": description, "contexts": contexts, "outputs": outputs}


def draws_of(sequence):
    """Which draws of ``many_draws`` are in a sequence, in order."""
    return [token - 200 for token in sequence.ids if 200 <= token < 300]


def test_the_example_of_the_docstring():
    batch = collator(permute=False)([ROW, ROW | {"contexts": [X1], "outputs": [Y1]}])
    assert batch["input_ids"].tolist() == [
        [1, 10, 11, 20, 30, 31, 7, 21, 32],
        [1, 10, 11, 20, 30, 31, 0, 0, 0],
    ]
    assert batch["labels"].tolist() == [
        [-100, -100, -100, -100, 30, 31, -100, -100, 32],
        [-100, -100, -100, -100, 30, 31, -100, -100, -100],
    ]
    assert batch["attention_mask"].tolist() == [[1] * 9, [1] * 6 + [0] * 3]
    assert {name: tensor.dtype for name, tensor in batch.items()} == dict.fromkeys(batch, torch.int64)
    assert set(batch) == {"input_ids", "labels", "attention_mask", "groups"}


def test_without_a_description_the_first_output_is_context():
    for row in (ROW | {"description": []}, ROW):
        sequence = collator(permute=False, description_dropout=1.0).sequence(row)
        assert sequence.ids == [1, 20, 30, 31, 7, 21, 32]
        assert sequence.labels == [-100] * 6 + [32]


@pytest.mark.parametrize("name", FORMATS)
def test_outputs_and_their_ends_are_trained_and_nothing_else(tokenizer, rows_of_every_task, name):
    text_format = get_format(name, tokenizer)
    rows = [
        {"id": row["id"], "messages": row["messages"][:40]}
        for found in rows_of_every_task.values()
        for row in found[:1]
        if "n_outputs" in row
    ]
    end = "\n\n" if name == "colon" else text_format.turn.end
    tokenized, _ = tokenize_rows(Dataset.from_list(rows), tokenizer, text_format, max_length=50_000)
    whole = SpectrumCollator.for_format(text_format, tokenizer, max_length=50_000, description_dropout=0.0)
    dropped = SpectrumCollator.for_format(text_format, tokenizer, max_length=50_000, description_dropout=1.0)
    for row, source in zip(tokenized, rows, strict=True):
        description, draws, _ = split_messages(source["messages"])
        outputs = Counter(draw.output for draw in draws)
        found = Counter(trained_texts(tokenizer, whole.sequence(row), end))
        missing = outputs - found
        assert not found - outputs
        assert missing.total() == (0 if description else 1)
        one_draw = len(draws) == 1
        assert Counter(trained_texts(tokenizer, dropped.sequence(row), end)).total() == len(draws) - (not one_draw)


def trained_texts(tokenizer, sequence, end):
    """The trained spans as texts, without the end that each of them has to have."""
    texts, span = [], []
    for label in [*sequence.labels, IGNORED]:
        if label != IGNORED:
            span.append(label)
        elif span:
            text = tokenizer.decode(span, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            assert text.count(end) >= 1
            assert text.endswith(end)
            texts.append(text.removesuffix(end).removeprefix(" "))
            span = []
    return texts


def test_the_order_changes_no_set_of_trained_tokens():
    row = many_draws(9)
    shuffled, kept = collator().sequence(row), collator(permute=False).sequence(row)
    assert draws_of(kept) == list(range(9))
    assert draws_of(shuffled) != list(range(9))
    assert Counter(trained_ids(shuffled)) == Counter(trained_ids(kept))
    assert trained_ids(kept) == [token for output in row["outputs"] for token in output]
    assert len(shuffled.ids) == len(kept.ids)


def test_every_order_is_as_likely_as_any():
    orders = Counter(tuple(draws_of(collator().sequence(many_draws(3, row=row)))) for row in range(1200))
    assert len(orders) == 6
    assert all(150 < count < 250 for count in orders.values())  # 200 expected, standard deviation 13


def test_descriptions_are_dropped_at_their_rate_and_never_from_a_single_draw():
    dropping = collator(description_dropout=0.2)
    described = [dropping.sequence(many_draws(3, row=row)).ids[1:3] == D for row in range(2000)]
    assert 340 < described.count(False) < 460  # 400 expected, standard deviation 18
    for row in range(200):
        sequence = dropping.sequence(many_draws(1, row=row))
        assert sequence.ids == [1, *D, 100, 200, 300]
        assert trained_ids(sequence) == [200, 300]


def test_a_sequence_depends_on_seed_epoch_and_row_alone():
    rows = [many_draws(8, row=row) for row in range(6)]
    alone = collator(description_dropout=0.5)
    batch = alone(rows)
    for position, row in enumerate(rows):
        sequence = alone.sequence(row)
        assert batch["input_ids"][position].tolist()[: len(sequence.ids)] == sequence.ids
        assert alone([row])["input_ids"].tolist() == [sequence.ids]
    assert [alone.sequence(row).ids for row in rows[::-1]] == [alone.sequence(row).ids for row in rows][::-1]
    orders = {tuple(draws_of(alone.sequence(row))) for row in rows}
    assert len(orders) == 6


def test_epochs_and_seeds_differ_and_come_back():
    row, first = many_draws(8), collator()
    zero = first.sequence(row).ids
    first.set_epoch(1)
    assert first.sequence(row).ids != zero
    first.set_epoch(0)
    assert first.sequence(row).ids == zero
    assert collator(seed=43).sequence(row).ids != zero


def test_only_whole_draws_are_laid_and_as_many_as_fit():
    row = many_draws(8)
    for max_length in range(6, 40):
        sequence = collator(max_length=max_length).sequence(row)
        count = (max_length - 3 + 1) // 4  # bos and description; each draw 3 tokens and a separator but the last
        assert len(sequence.ids) == 3 + 4 * min(count, 8) - 1
        assert trained_ids(sequence) == [token for i in draws_of(sequence) for token in (200 + i, 300 + i)]
        assert sequence.trained_outputs == min(count, 8)


def test_a_draw_that_leaves_nothing_to_train_on_is_passed_over():
    row = {"id": "r", "row": 0, "description": [], "contexts": [[1]] * 3, "outputs": [[2] * 3, [3] * 20, [4] * 3]}
    for seed in range(10):
        sequence = collator(max_length=15, seed=seed).sequence(row)
        assert 3 not in sequence.ids
        assert sequence.trained_outputs == 1


def test_a_row_with_nothing_to_train_on_is_named():
    with pytest.raises(UserError, match="row 'r' has nothing to train on within 4 tokens"):
        collator(max_length=4)([ROW])
    with pytest.raises(UserError, match="row 'alone' has nothing to train on"):
        collator()([many_draws(1, description=[]) | {"id": "alone"}])


def test_padding_is_the_end_of_sequence_where_there_is_no_padding_token(tokenizer_of):
    llama3, chatml = tokenizer_of("llama3"), tokenizer_of("chatml")
    assert SpectrumCollator.for_format(get_format("auto", llama3), llama3, max_length=9).pad_token_id == (
        llama3.eos_token_id
    )
    assert SpectrumCollator.for_format(get_format("auto", chatml), chatml, max_length=9).pad_token_id == (
        chatml.pad_token_id
    )


TREE_ROWS = [ROW, ROW | {"contexts": [X1, X1, X1], "outputs": [Y1, [30, 33], Y1]}]


def test_branches_of_a_row_are_a_tree_of_tokens(monkeypatch):
    monkeypatch.setattr("spectrum_suite.training.collator.PACKED_LENGTH", 6)
    batch = collator(branching=1.0, permute=False, max_length=6)(TREE_ROWS)
    assert batch["input_ids"].tolist() == [[1, 10, 11, 20, 30, 21], [1, 10, 11, 20, 30, 0]]
    assert batch["parents"].tolist() == [[-1, 0, 1, 2, 3, 2], [-1, 0, 1, 2, 3, -1]]
    assert batch["labels"].tolist() == [[30, 31, 32, -100, -100, -100], [30, 31, 30, 33, 30, 31]]
    assert batch["sources"].tolist() == [[3, 4, 5, 0, 0, 0], [3, 4, 3, 4, 3, 4]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1] * 5 + [0]]


def test_trees_that_fit_one_row_share_it():
    batch = collator(branching=1.0, permute=False)(TREE_ROWS)
    assert batch["input_ids"].tolist() == [[1, 10, 11, 20, 30, 21, 1, 10, 11, 20, 30]]
    assert batch["parents"].tolist() == [[-1, 0, 1, 2, 3, 2, -1, 6, 7, 8, 9]]
    assert batch["labels"].tolist() == [[30, 31, 32, 30, 31, 30, 33, 30, 31]]
    assert batch["sources"].tolist() == [[3, 4, 5, 9, 10, 9, 10, 9, 10]]
    assert batch["attention_mask"].tolist() == [[1] * 11]


def first_draws(tree):
    """How many sequences begin behind the description of ``many_draws``."""
    return sum(parent == len(D) for parent in tree.parents)


def test_some_draws_branch_off_at_the_rate_asked_for():
    trees = [collator(branching=0.3, max_length=500).tree(many_draws(20, row=row)) for row in range(100)]
    assert 560 < sum(map(first_draws, trees)) < 780  # 100 * (1 + 19 * 0.3) = 670 expected, standard deviation 20
    for tree in trees:
        assert tree.trained_outputs == 20
        assert tree.ids.count(7) == 20 - first_draws(tree)


def test_rows_may_branch_at_rates_of_their_own():
    made = collator(row_branching=[1.0, 0.0], max_length=500)
    apart, in_line = (made.tree(many_draws(20, row=row)) for row in (0, 1))
    assert (first_draws(apart), first_draws(in_line)) == (20, 1)
    assert apart == collator(branching=1.0, max_length=500).tree(many_draws(20, row=0))
    (length,) = made.lengths([many_draws(20, row=1)])
    assert length == len(collator(max_length=500).sequence(many_draws(20, row=1)).ids) - 1


def test_equal_draws_cost_nothing_and_others_stop_at_the_budget():
    row = {"id": "r", "row": 0, "description": D, "contexts": [X1] * 90, "outputs": [Y1] * 90}
    tree = collator(branching=1.0, max_length=5).tree(row)
    assert (len(tree.ids), len(tree.targets), tree.trained_outputs) == (5, 180, 90)
    with pytest.raises(UserError, match="nothing to train on within 4 tokens"):
        collator(branching=1.0, max_length=4).tree(row)
    different = collator(branching=1.0, max_length=9).tree(many_draws(20))
    assert (len(different.ids), different.trained_outputs) == (9, 3)  # 3 shared, a context and a token for each draw


def test_without_its_description_nothing_branches_off():
    tree = collator(branching=1.0, description_dropout=1.0).tree(many_draws(5))
    assert tree.parents == list(range(-1, len(tree.ids) - 1))
    assert tree.trained_outputs == 4


def test_without_branches_and_with_a_line_each_rows_have_no_parents():
    rows = [many_draws(5, row=row) for row in range(2)]
    plain = collator(branching=1.0, description_dropout=1.0, max_length=500)
    assert "parents" in plain(rows)  # which share a line
    assert "parents" not in plain(rows[:1])
    assert "parents" in collator(branching=1.0, description_dropout=0.0, max_length=500)(rows[:1])


def labelled(found):
    """The spans of labels of a sequence."""
    spans, before = [], IGNORED
    for label in found.labels:
        if label != IGNORED:
            spans.append([*spans.pop(), label] if before != IGNORED else [label])
        before = label
    return spans


def test_ablations_train_what_they_say():
    row = many_draws(3)
    found = {name: collator(permute=False, train_on=name).sequence(row) for name in ("outputs", "all", "last", "first")}
    outputs = [[200, 300], [201, 301], [202, 302]]
    assert {tuple(each.ids) for each in found.values()} == {tuple(found["outputs"].ids)}
    assert labelled(found["outputs"]) == outputs
    assert labelled(found["last"]) == outputs[-1:]
    assert labelled(found["first"]) == outputs[:1]
    assert labelled(found["all"]) == [found["all"].ids[1:]]
    assert found["all"].labels[0] == IGNORED


def test_without_a_description_the_first_target_is_the_second_output():
    row = many_draws(3, description=[])
    found = {name: collator(permute=False, train_on=name).sequence(row) for name in ("all", "last", "first")}
    assert labelled(found["first"]) == [[201, 301]]
    assert labelled(found["last"]) == [[202, 302]]
    assert labelled(found["all"]) == [found["all"].ids[1:]]


def test_with_no_start_token_the_first_token_has_nothing_before_it():
    found = collator(permute=False, train_on="all", start=[]).sequence(many_draws(2))
    assert found.labels == [IGNORED, *found.ids[1:]]


@pytest.mark.parametrize("train_on", ["outputs", "all", "last", "first"])
def test_ablations_decoded(tokenizer_of, train_on):
    """What is trained, as text."""
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("spectrum", tokenizer)
    messages = [
        {"role": "description", "content": "A coin."},
        {"role": "input", "content": "Toss 1."}, {"role": "output", "content": "Heads"},
        {"role": "input", "content": "Toss 2."}, {"role": "output", "content": "Tails"},
    ]  # fmt: skip
    rows, _ = tokenize_rows(
        Dataset.from_list([{"id": "r", "messages": messages}]), tokenizer, text_format, max_length=200
    )
    options = {"max_length": 200, "permute": False, "description_dropout": 0.0, "train_on": train_on}
    sequence = SpectrumCollator.for_format(text_format, tokenizer, **options).sequence(rows[0])
    heads, tails = "Heads<|im_end|>", "Tails<|im_end|>"
    whole = tokenizer.decode(sequence.ids)
    expected = {
        "outputs": [heads, tails], "last": [tails], "first": [heads],
        "all": [whole.removeprefix(tokenizer.decode(sequence.ids[:1]))],
    }  # fmt: skip
    assert [tokenizer.decode(span) for span in labelled(sequence)] == expected[train_on]
    assert heads in whole
    assert "description\nA coin." in whole


MISTAKES = {
    "no --train_on 'some': choose outputs, all, last, first": {"train_on": "some"},
    "--description_dropout 1.5 is not a probability": {"description_dropout": 1.5},
    "--branching -1 is not a probability": {"branching": -1},
    "--train_on last is for plain sequences": {"train_on": "last", "branching": 0.5},
    "--train_on first is for plain sequences": {"train_on": "first", "row_branching": [0.5]},
}


@pytest.mark.parametrize("line", MISTAKES)
def test_options_that_make_no_sense_are_refused(line):
    with pytest.raises(UserError, match=line):
        collator(**MISTAKES[line])


def test_packed_lines_hold_whole_sequences_with_positions_of_their_own():
    rows = [many_draws(count, row=count) for count in (5, 1, 3, 1, 2)]
    packing = collator(packing=True, max_length=24)
    plain, packed = collator(max_length=24)(rows), packing(rows)
    sequences = [packing.sequence(row).ids for row in rows]
    assert [len(ids) for ids in sequences] == [22, 6, 14, 6, 10]
    assert packed["input_ids"].shape == (3, 22), "22, 14 + 6, 10 + 6: level lines"
    for line, positions, mask in zip(
        packed["input_ids"], packed["position_ids"], packed["attention_mask"], strict=True
    ):
        starts = [place for place in range(22) if positions[place] == 0 and mask[place]]
        for start, end in zip(starts, [*starts[1:], int(mask.sum())], strict=True):
            assert line[start:end].tolist() in sequences
            assert positions[start:end].tolist() == list(range(end - start))
            sequences.remove(line[start:end].tolist())
    assert sequences == []
    for name in ("input_ids", "labels"):
        assert Counter(packed[name].flatten().tolist())[200] == Counter(plain[name].flatten().tolist())[200]
    assert (packed["labels"] != IGNORED).sum() == (plain["labels"] != IGNORED).sum()


def test_every_label_has_the_group_of_its_row():
    rows = [many_draws(2, row=row) | {"group": row % 3} for row in range(6)]
    for options in ({}, {"packing": True}, {"branching": 1.0}, {"branching": 1.0, "packing": True}):
        batch = collator(max_length=60, **options)(rows)
        trained = batch["labels"] != IGNORED
        assert Counter(batch["groups"][trained].tolist()) == {0: 8, 1: 8, 2: 8}


def test_packed_trees_keep_their_roots_apart():
    rows = [many_draws(3, row=row) for row in range(3)]
    batch = collator(branching=1.0, packing=True, permute=False, max_length=40)(rows)
    trees = [collator(branching=1.0, permute=False).tree(row) for row in rows]
    size = len(trees[0].ids)
    assert batch["input_ids"].shape == (1, 3 * size)
    assert (batch["parents"] == -1).nonzero()[:, 1].tolist() == [0, size, 2 * size]
    assert batch["parents"][0, size:].min() == -1
    assert [p for p in batch["parents"][0, size : 2 * size].tolist() if p >= 0] == [
        p + size for p in trees[0].parents if p >= 0
    ]
    assert batch["sources"][0, 6:12].tolist() == [source + size for source in trees[1].sources]
