import pytest
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.training.tokenize import tokenize_rows
from tests.written_rows import whole_text

LONG = "word " * 100 + "end"


def row(row_id, *outputs, description="A coin."):
    before = [{"role": "description", "content": description}] if description else []
    return {"id": row_id, "messages": [*before, *({"role": "output", "content": output} for output in outputs)]}


def tokenized(tokenizer, rows, max_length=200, name="spectrum"):
    return tokenize_rows(Dataset.from_list(rows), tokenizer, get_format(name, tokenizer), max_length=max_length)


def test_segments_are_the_tokens_of_the_whole_text(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    text_format = get_format("spectrum", tokenizer)
    (found,), too_long = tokenized(tokenizer, [row("r", "Heads", "Tails")])
    assert too_long == 0
    assert tokenizer.decode(found["description"]) == text_format.description("A coin.")
    assert [tokenizer.decode(ids) for ids in found["contexts"]] == [text_format.context(None)] * 2
    assert [tokenizer.decode(ids) for ids in found["outputs"]] == ["Heads<|eot_id|>", "Tails<|eot_id|>"]
    start = [tokenizer.bos_token_id]
    draws = [token for pair in zip(found["contexts"], found["outputs"], strict=True) for ids in pair for token in ids]
    whole = whole_text(text_format, row("r", "Heads", "Tails")["messages"])
    assert start + found["description"] + draws == tokenizer(whole, add_special_tokens=False).input_ids


def test_rows_keep_their_number_and_order(tokenizer_of):
    rows = [row("a", "1"), row("b", LONG), row("c", "2")]
    found, too_long = tokenized(tokenizer_of("chatml"), rows, max_length=60)
    assert (found["id"], found["row"], too_long) == (["a", "c"], [0, 2], 1)


def test_a_draw_that_fits_nowhere_is_dropped_counted_and_named(tokenizer_of, caplog):
    rows = [row("a", "Heads", LONG, "Tails"), row("b", LONG, LONG)]
    found, too_long = tokenized(tokenizer_of("chatml"), rows, max_length=60)
    assert found["id"] == ["a"]
    assert too_long == 3
    assert len(found[0]["outputs"]) == 2
    assert "1 rows do not fit into 60 tokens, e.g. b" in caplog.text


@pytest.mark.parametrize("spare", [0, -1])
def test_the_budget_is_exact(tokenizer_of, spare):
    """With its description a draw fits if both do, with what the collator may lay around them."""
    (found,), _ = tokenized(tokenizer_of("llama3"), [row("a", "Heads")])
    needed = 1 + len(found["description"]) + len(found["contexts"][0]) + len(found["outputs"][0])
    if spare < 0:
        with pytest.raises(UserError, match=f"no row fits into {needed - 1} tokens: raise --max_length"):
            tokenized(tokenizer_of("llama3"), [row("a", "Heads")], max_length=needed - 1)
    else:
        assert tokenized(tokenizer_of("llama3"), [row("a", "Heads")], max_length=needed)[1] == 0


def test_without_a_description_two_draws_have_to_fit(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    rows = [row("a", "Heads", "Tails", LONG, description=None)]
    (found,), too_long = tokenized(tokenizer, rows, max_length=60)
    assert (len(found["outputs"]), too_long) == (2, 1)
    one = len(found["contexts"][0]) + len(found["outputs"][0])
    with pytest.raises(UserError, match="no row fits"):
        tokenized(tokenizer, rows, max_length=1 + one)


def test_a_row_with_nothing_to_train_on_is_named(tokenizer_of):
    with pytest.raises(UserError, match="row 'lonely' has nothing to train on"):
        tokenized(tokenizer_of("chatml"), [row("a", "1"), row("lonely", "1", description=None)])
    with pytest.raises(UserError, match="row 'mute' has nothing to train on"):
        tokenized(tokenizer_of("chatml"), [row("mute")])


def test_equal_texts_are_tokenized_once(tokenizer_of, monkeypatch):
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("spectrum", tokenizer)
    seen = []
    plain = type(tokenizer).__call__
    monkeypatch.setattr(type(tokenizer), "__call__", lambda self, t, **o: (seen.append(t), plain(self, t, **o))[1])
    ids = token_encoder(tokenizer, text_format)(["b", "a", "b", "", "a"])
    assert seen == [["a", "b"]]
    assert set(ids) == {"", "a", "b"}
    assert ids[""] == []
