"""Tags in plain text: written as the paper does, the same by template, and cut where inference cuts."""

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.formats.tags import TAGS, tagged_format
from spectrum_suite.formats.token_ids import token_encoder
from tests.written_rows import pieces

MESSAGES = [
    {"role": "input", "content": "Name a day."},
    {"role": "output", "content": "Monday"},
    {"role": "input", "content": "And a month?"},
    {"role": "output", "content": "May\nor June"},
]


@pytest.mark.parametrize("name", TAGS)
def test_a_conversation_as_text(tokenizer, name):
    text_format = tagged_format(name, tokenizer)
    first, second = TAGS[name]
    text = "".join(f"[{text}]" if trained else text for text, trained in pieces(text_format, MESSAGES))
    end = tokenizer.eos_token
    assert text == (
        f"{text_format.bos}{first}\nName a day.\n{second}\nMonday{end}\n"
        f"{first}\nAnd a month?\n{second}\n[May\nor June{end}]\n"
    )
    assert text_format.context("") == f"{first}\n\n{second}\n"


@pytest.mark.parametrize("messages", [MESSAGES, MESSAGES[:3], [{"role": "description", "content": "D"}], MESSAGES[1:2]])
def test_the_template_writes_the_same(tokenizer, messages):
    text_format = tagged_format("tags", tokenizer)
    rendered = tokenizer.apply_chat_template(
        messages, chat_template=text_format.chat_template(), tokenize=False, add_generation_prompt=True
    )
    assert rendered == text_format.prompt(messages)
    ids = tokenizer.apply_chat_template(
        messages, chat_template=text_format.chat_template(), add_generation_prompt=True, return_dict=False
    )
    assert ids == tokenizer(rendered, add_special_tokens=False).input_ids


def test_a_response_ends_with_one_token(tokenizer):
    text_format = tagged_format("tags", tokenizer)
    output = text_format.output("Monday")
    *response, end = token_encoder(tokenizer, text_format)([output])[output]
    assert tokenizer.decode(response) == "Monday"
    assert end == tokenizer.eos_token_id


def test_mistakes_are_named(tokenizer_of):
    with pytest.raises(UserError, match=r"did you mean .tags.*: choose from tags, meaningless_tags"):
        tagged_format("tag", tokenizer_of("llama3"))
