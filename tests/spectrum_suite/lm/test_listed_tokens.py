"""What a server lists by text is taken for a token only where it can mean no other."""

import math

import pytest

from spectrum_suite.lm.listed_tokens import LIKELY, TokenTexts, count_listed, listed_tokens


@pytest.mark.parametrize("kind", ["plain", "llama3"])
def test_a_text_stands_for_the_only_token_that_is_written_so(kind, tokenizer_of):
    tokenizer = tokenizer_of(kind)
    texts = TokenTexts.of(tokenizer)
    assert len(texts.own) > len(tokenizer) / 2
    (anchor,) = tokenizer("a", add_special_tokens=False).input_ids[-1:]
    for text, token in list(texts.own.items())[::7]:
        assert tokenizer.decode([anchor, token]) == tokenizer.decode([anchor]) + text


class Vocabulary:
    """As much of a tokenizer as is asked: "a", "1" and its byte, "x" twice, a part of a character."""

    pieces = ("a", "1", "<0x31>", "x", "x", "half", "<0x7A>")
    written = ("a", "1", "1", "x", "x", "\N{REPLACEMENT CHARACTER}", "z")

    def __len__(self):
        return len(self.pieces)

    def __call__(self, text, **_):
        return type("Encoding", (), {"input_ids": [self.written.index(text)]})

    def decode(self, ids, **_):
        return "".join(self.written[token] for token in ids)

    def batch_decode(self, rows, **_):
        return list(map(self.decode, rows))

    def convert_ids_to_tokens(self, ids):
        return [self.pieces[token] for token in ids]


def test_a_likely_text_of_a_character_and_its_byte_is_the_character():
    texts = TokenTexts.of(Vocabulary())
    assert (texts.own, texts.shared) == ({"a": 0}, {"1": 1})
    told = {"a": -9.0, "1": LIKELY, "x": -0.1, "z": -0.2, "b": -0.3}
    assert listed_tokens({"logprobs": {"top_logprobs": [told]}}, texts) == {0: -9.0, 1: LIKELY}
    assert listed_tokens({"logprobs": {"top_logprobs": [{"1": LIKELY - 0.1}]}}, texts) == {}


def test_ids_are_taken_as_they_are_and_what_is_no_number_is_not():
    texts = TokenTexts({}, {})
    entries = [{"id": 5, "logprob": -1.0}, {"id": 6, "logprob": None}, {"id": 7, "logprob": -math.inf}, {"token": "x"}]
    choice = {"logprobs": {"content": [{"id": 5, "top_logprobs": entries}]}}
    assert listed_tokens(choice, texts) == {5: -1.0}
    assert count_listed(choice) == 4
    for none in ({}, {"logprobs": None}, {"logprobs": {"top_logprobs": [None]}}, {"logprobs": {"content": []}}):
        assert listed_tokens(none, texts) == {}
        assert count_listed(none) == 0
