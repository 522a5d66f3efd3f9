"""The turn tokens of a family, and what their rows begin as."""

from spectrum_suite.formats.render import get_format
from spectrum_suite.training.tokens import line_breaks, turn_token_ids


def test_turn_tokens_are_those_of_the_family(tokenizer, family):
    text_format = get_format("spectrum", tokenizer)
    assert tokenizer.convert_ids_to_tokens(turn_token_ids(tokenizer, text_format)) == sorted(
        text_format.turn.special, key=tokenizer.convert_tokens_to_ids
    )
    assert turn_token_ids(tokenizer, get_format("colon", tokenizer)) == []


def test_a_turn_ends_like_a_line_and_begins_like_a_blank_one(tokenizer, family):
    text_format = get_format("spectrum", tokenizer)
    found = line_breaks(tokenizer, text_format)
    assert sorted(found) == turn_token_ids(tokenizer, text_format)
    for token_id, like in found.items():
        is_end = tokenizer.convert_ids_to_tokens(token_id) == text_format.turn.end
        text = tokenizer.decode([like])
        assert text == "\n" if is_end else set(text) == {"\n"}
    assert line_breaks(tokenizer, get_format("colon", tokenizer)) == {}
