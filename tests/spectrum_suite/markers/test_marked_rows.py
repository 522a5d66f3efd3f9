"""What is trained of a marked row: its completion and all of its markers, whatever its prompt shows of them."""

import json

import numpy as np
import pytest
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.markers.dropout import MarkerDropout
from spectrum_suite.markers.marked_rows import load_marked, mark_messages, marked_features
from spectrum_suite.markers.marker_list import (
    OPEN,
    Completion,
    mark_completion,
    mark_prompt,
    parse,
    render,
    split_completion,
)
from spectrum_suite.training.batches import GroupedByLength
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.marked import MarkedView, all_shown
from spectrum_suite.training.tokenize import tokenize_rows
from tests.written_rows import whole_text

FORMATS = ["chat", "spectrum", "colon"]
MARKERS = [
    {"length_tokens": 3 + number, "task": ["Reasoning", "Rewrite"][number % 2], "source": "Human", "lang": "English"}
    for number in range(40)
]
ROWS = [
    {
        "id": f"asked/{number}",
        "messages": [
            {"role": "input", "content": f"Zebra question {'please ' * (number % 5)}{number}?"},
            {"role": "output", "content": f"The answer is {number} <b> {'today ' * (number % 7)}."},
        ],
        "markers": [markers],
    }
    for number, markers in enumerate(MARKERS)
]
DRAWS = {
    "id": "votes/0",
    "messages": [
        {"role": "description", "content": "How a person votes."},
        {"role": "input", "content": "More trains?"},
        {"role": "output", "content": "agree"},
        {"role": "output", "content": "pass"},
    ],
    "markers": [{"source": "Human", "length_tokens": 1}, {"source": "Human", "length_tokens": 2}],
}


@pytest.fixture
def save(tmp_path):
    def write(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def marked_run(rows, tokenizer, name="chat", **options):
    """The tokenized rows and their collator."""
    text_format = get_format(name, tokenizer)
    tokenized, _ = tokenize_rows(rows, tokenizer, text_format, max_length=300, cut=all_shown)
    view = MarkedView(
        rows, token_encoder(tokenizer, text_format), text_format, **{"dropout": MarkerDropout()} | options
    )
    dropout = {"description_dropout": 0.0, "permute": False}
    return tokenized, SpectrumCollator.for_format(text_format, tokenizer, max_length=300, view=view, **dropout)


def decoded(tokenizer, sequence):
    """(text without a loss, text with one) of a sequence with a single trained piece."""
    trained = [token for token, label in zip(sequence.ids, sequence.labels, strict=True) if label != IGNORED]
    assert sequence.ids[len(sequence.ids) - len(trained) :] == trained
    return tokenizer.decode(sequence.ids[: len(sequence.ids) - len(trained)]), tokenizer.decode(trained)


@pytest.mark.parametrize("name", FORMATS)
def test_the_trained_tokens_are_the_completion_and_all_its_markers(tokenizer, save, name):
    rows, counts = load_marked([save(ROWS)])
    assert list(counts.values()) == [40]
    tokenized, collator = marked_run(rows, tokenizer, name)
    text_format, shown = get_format(name, tokenizer), []
    for row, plain, markers in zip(tokenized, ROWS, MARKERS, strict=True):
        before, trained = decoded(tokenizer, collator.sequence(row))
        answer = mark_completion(markers, plain["messages"][1]["content"])
        assert trained.removesuffix("\n") == text_format.output(answer).removesuffix("\n")
        shown.append(MarkerDropout().prompt_markers(markers, epoch=0, row=row["row"]))
        assert before == text_format.prompt(mark_prompt(plain["messages"][:1], shown[-1]))
    assert {len(found) for found in shown} == {0, 2}


def test_over_10_000_rows_half_of_the_prompts_are_bare_and_no_completion_is():
    dropout, bare, shares = MarkerDropout(), 0, []
    for number in range(10_000):
        plain = ROWS[number % len(ROWS)]
        (markers,) = plain["markers"]
        shown = dropout.prompt_markers(markers, epoch=0, row=number)
        asked, answer = mark_messages(plain["messages"], [markers], [shown])
        assert split_completion(answer["content"]) == Completion(plain["messages"][1]["content"], markers)
        if OPEN not in asked["content"]:
            bare += 1
            continue
        text, _, written = asked["content"].partition(f" {OPEN}")
        assert text == plain["messages"][0]["content"]
        shares.append(len(parse(OPEN + written)) / len(markers))
    assert bare / 10_000 == pytest.approx(0.5, abs=0.02)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)


def test_the_prompt_has_the_tokens_that_inference_gives_it(tokenizer, save):
    rows, _ = load_marked([save(ROWS[:8])])
    tokenized, collator = marked_run(rows, tokenizer, dropout=MarkerDropout(0, 0))
    text_format = get_format("chat", tokenizer)
    for row, plain in zip(tokenized, ROWS, strict=False):
        sequence = collator.sequence(row)
        n_prompt = len(sequence.labels) - sum(label != IGNORED for label in sequence.labels)
        prompt = text_format.prompt(mark_prompt(plain["messages"][:1], plain["markers"][0]))
        assert sequence.ids[:n_prompt] == tokenizer(prompt, add_special_tokens=False).input_ids


def test_an_epoch_has_a_dropout_of_its_own_and_the_same_each_time(tokenizer_of, save):
    tokenizer = tokenizer_of("chatml")
    rows, _ = load_marked([save(ROWS)])
    tokenized, collator = marked_run(rows, tokenizer)

    def lists(epoch):
        collator.set_epoch(epoch)
        return [decoded(tokenizer, collator.sequence(row))[0].count(OPEN) for row in tokenized]

    first = lists(0)
    assert lists(1) != first == lists(0)
    assert 0 < np.mean(first) < 1


def test_the_unmarked_baseline_has_the_same_rows_in_the_same_order(tokenizer_of, save):
    tokenizer = tokenizer_of("chatml")
    rows, _ = load_marked([save(ROWS)])
    tokenized, marked = marked_run(rows, tokenizer)
    same, plain = marked_run(rows, tokenizer, marked=False)
    never, _ = marked_run(rows, tokenizer, dropout=MarkerDropout(0, 0))
    assert tokenized["id"] == same["id"] == never["id"]
    orders = [list(GroupedByLength(tokenized, each, batch_size=4, seed=1)) for each in (marked, plain)]
    assert orders[0] == orders[1]
    text_format = get_format("chat", tokenizer)
    for row, source in zip(same, ROWS, strict=True):
        before, trained = decoded(tokenizer, plain.sequence(row))
        assert before == text_format.prompt(source["messages"][:1])
        assert trained.removesuffix("\n") == text_format.output(source["messages"][1]["content"]).removesuffix("\n")


def test_every_draw_of_a_suite_row_has_markers_of_its_own(tokenizer_of, save):
    tokenizer = tokenizer_of("chatml")
    rows, _ = load_marked([save([DRAWS])])
    tokenized, collator = marked_run(rows, tokenizer, "spectrum", dropout=MarkerDropout(0, 0))
    one, two = DRAWS["markers"]
    expected = [
        DRAWS["messages"][0],
        {"role": "input", "content": f"More trains? {render(load_order(one))}"},
        {"role": "output", "content": mark_completion(load_order(one), "agree")},
        {"role": "input", "content": render(load_order(two))},
        {"role": "output", "content": mark_completion(load_order(two), "pass")},
    ]
    text_format = get_format("spectrum", tokenizer)
    sequence = collator.sequence(tokenized[0])
    text = whole_text(text_format, expected).removesuffix(text_format.separator)
    assert tokenizer.decode(sequence.ids) == text
    trained = tokenizer.decode(
        [token for token, label in zip(sequence.ids, sequence.labels, strict=True) if label >= 0]
    )
    outputs = [message["content"] for message in expected if message["role"] == "output"]
    assert trained == "".join(text_format.output(output) for output in outputs)


def load_order(markers):
    """As a row's markers are written: in the taxonomy's order."""
    return parse(render({name: markers[name] for name in ("length_tokens", "source")}))


def test_a_dialogue_marks_its_last_response_alone(tokenizer_of, save):
    tokenizer = tokenizer_of("chatml")
    earlier = [{"role": "input", "content": "Hello?"}, {"role": "output", "content": "Hello."}]
    dialogue = ROWS[0] | {"messages": earlier + ROWS[0]["messages"]}
    rows, _ = load_marked([save([dialogue])])
    tokenized, collator = marked_run(rows, tokenizer, dropout=MarkerDropout(0, 0))
    before, trained = decoded(tokenizer, collator.sequence(tokenized[0]))
    assert (before.count(OPEN), trained.count(OPEN)) == (1, 1)
    assert trained.startswith(OPEN)


def test_only_the_categories_that_are_asked_for_are_kept(save):
    rows, _ = load_marked([save(ROWS[:2])], categories=["task", "length_tokens"])
    kept = [{name: value for name, value in row["markers"][0].items() if value is not None} for row in rows]
    assert kept == [{"length_tokens": 3, "task": "Reasoning"}, {"length_tokens": 4, "task": "Rewrite"}]
    assert rows.features == marked_features()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"markers": None}, "no column 'markers': annotate them with"),
        ({"markers": [{"lang": "Klingon"}]}, "row 1: marker 'lang' is 'Klingon'"),
        ({"markers": []}, "row 1: it has 1 outputs and markers of 0"),
        ({"markers": [{"mood": "x"}]}, "row 1: no marker 'mood'"),
        ({"messages": [{"role": "input", "content": "a"}]}, "its last message is not an output"),
    ],
)
def test_rows_that_are_not_annotated_well_are_refused(save, change, message):
    row = {name: value for name, value in (ROWS[0] | change).items() if value is not None}
    with pytest.raises(UserError, match=message):
        load_marked([save([row])])


def test_a_category_that_is_not_there_is_named(save):
    with pytest.raises(UserError, match="no marker 'lenght_tokens', did you mean 'length_tokens'"):
        load_marked([save(ROWS[:2])], categories=["lenght_tokens"])
    with pytest.raises(UserError, match="needs --data"):
        load_marked([])


def test_rows_can_come_from_parquet(tmp_path):
    Dataset.from_list(ROWS[:3], features=None).to_parquet(tmp_path / "rows.parquet")
    rows, _ = load_marked([str(tmp_path / "rows.parquet")])
    assert rows["id"][:] == ["asked/0", "asked/1", "asked/2"]
