import logging

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import FORMATS, REQUEST, get_format, split_messages, turn_tokens, written_draws
from tests.written_rows import pieces, whole_text

DESCRIPTION = {"role": "description", "content": 'A coin, "fair".\nTossed.'}
DRAWS = [
    {"role": "input", "content": "toss 1"},
    {"role": "output", "content": "Heads"},
    {"role": "output", "content": "Tails\n\nedge"},
]
CASES = {
    "description": [DESCRIPTION],
    "draws": DRAWS,
    "both": [DESCRIPTION, *DRAWS],
    "open input": [DESCRIPTION, *DRAWS, {"role": "input", "content": "toss 3"}],
    "input first": [{"role": "input", "content": "toss 0"}],
}
GOLDEN = {
    ("gemma", "spectrum"): (
        "<bos><start_of_turn>description\nD<end_of_turn>\n"
        "<start_of_turn>output\n[4<end_of_turn>]\n"
        "<start_of_turn>input\nx<end_of_turn>\n<start_of_turn>output\n[5<end_of_turn>]\n"
    ),
    ("chatml", "spectrum"): (
        "<|im_start|>description\nD<|im_end|>\n"
        "<|im_start|>output\n[4<|im_end|>]\n"
        "<|im_start|>input\nx<|im_end|>\n<|im_start|>output\n[5<|im_end|>]\n"
    ),
    ("llama3", "spectrum"): (
        "<|begin_of_text|><|start_header_id|>description<|end_header_id|>\n\nD<|eot_id|>"
        "<|start_header_id|>output<|end_header_id|>\n\n[4<|eot_id|>]"
        "<|start_header_id|>input<|end_header_id|>\n\nx<|eot_id|>"
        "<|start_header_id|>output<|end_header_id|>\n\n[5<|eot_id|>]"
    ),
    ("gemma", "chat"): (
        "<bos><start_of_turn>user\nD<end_of_turn>\n"
        "<start_of_turn>user\nGive one output.<end_of_turn>\n<start_of_turn>model\n[4<end_of_turn>]\n"
        "<start_of_turn>user\nx<end_of_turn>\n<start_of_turn>model\n[5<end_of_turn>]\n"
    ),
    ("chatml", "chat"): (
        "<|im_start|>system\nD<|im_end|>\n"
        "<|im_start|>user\nGive one output.<|im_end|>\n<|im_start|>assistant\n[4<|im_end|>]\n"
        "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n[5<|im_end|>]\n"
    ),
    ("llama3", "chat"): (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nD<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nGive one output.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n[4<|eot_id|>]"
        "<|start_header_id|>user<|end_header_id|>\n\nx<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n[5<|eot_id|>]"
    ),
    ("gemma", "colon"): "<bos>Description: D\n\nOutput:[ 4\n\n]Input: x\nOutput:[ 5\n\n]",
    ("chatml", "colon"): "Description: D\n\nOutput:[ 4\n\n]Input: x\nOutput:[ 5\n\n]",
    ("llama3", "colon"): "<|begin_of_text|>Description: D\n\nOutput:[ 4\n\n]Input: x\nOutput:[ 5\n\n]",
}
"""A row written out by hand; what is trained is in brackets."""
GOLDEN_MESSAGES = [
    {"role": "description", "content": "D"},
    {"role": "output", "content": "4"},
    {"role": "input", "content": "x"},
    {"role": "output", "content": "5"},
]


def apply(tokenizer, text_format, messages, **options):
    return tokenizer.apply_chat_template(messages, chat_template=text_format.chat_template(), tokenize=False, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_texts_are_those_written_by_hand(tokenizer, family, name):
    found = pieces(get_format(name, tokenizer), GOLDEN_MESSAGES)
    assert "".join(f"[{text}]" if trained else text for text, trained in found) == GOLDEN[family, name]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FORMATS)
def test_the_template_renders_what_the_renderer_renders(tokenizer, name, case):
    text_format, messages = get_format(name, tokenizer), CASES[case]
    rendered = apply(tokenizer, text_format, messages)
    assert whole_text(text_format, messages) == rendered
    assert text_format.prompt(messages) == apply(tokenizer, text_format, messages, add_generation_prompt=True)


@pytest.mark.parametrize("name", FORMATS)
def test_the_prompt_grows_into_the_text(tokenizer, name):
    text_format = get_format(name, tokenizer)
    whole = whole_text(text_format, CASES["both"])
    answer = text_format.output(DRAWS[-1]["content"]) + text_format.separator
    assert text_format.prompt(CASES["both"][:-1]) + answer == whole


def test_rows_of_every_task_render_alike(tokenizer, rows_of_every_task):
    for name in FORMATS:
        text_format = get_format(name, tokenizer)
        for rows in rows_of_every_task.values():
            messages = rows[0]["messages"][:40]
            rendered = apply(tokenizer, text_format, messages)
            assert whole_text(text_format, messages) == rendered
            assert text_format.prompt(messages) == apply(tokenizer, text_format, messages, add_generation_prompt=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_saved_tokenizer_needs_none_of_our_code(tokenizer_of, tmp_path, name):
    tokenizer = tokenizer_of("llama3")
    text_format = get_format(name, tokenizer)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(text_format.chat_template(), encoding="utf-8")
    reloaded = AutoTokenizer.from_pretrained(tmp_path)
    found = reloaded.apply_chat_template(GOLDEN_MESSAGES, tokenize=False, add_generation_prompt=True)
    assert found == text_format.prompt(GOLDEN_MESSAGES)
    reloaded.save_pretrained(tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert again.apply_chat_template(GOLDEN_MESSAGES, tokenize=False, add_generation_prompt=True) == found


@pytest.mark.parametrize("name", FORMATS)
def test_bos_is_there_once_where_the_tokenizer_adds_one(tokenizer, name):
    text_format = get_format(name, tokenizer)
    own = tokenizer("x").input_ids.count(tokenizer.bos_token_id) if tokenizer.bos_token else 0
    ids = tokenizer.apply_chat_template(
        GOLDEN_MESSAGES, chat_template=text_format.chat_template(), return_dict=False, add_generation_prompt=True
    )
    assert ids.count(tokenizer.bos_token_id) == own == len([text_format.bos] if text_format.bos else [])
    if own:
        assert ids[0] == tokenizer.bos_token_id


def test_families_are_told_by_their_tokens(tokenizer, family):
    assert turn_tokens(tokenizer).family == family
    assert get_format("auto", tokenizer).name == "spectrum"
    ids = tokenizer.convert_tokens_to_ids(list(turn_tokens(tokenizer).special))
    for token, token_id in zip(turn_tokens(tokenizer).special, ids, strict=True):
        assert tokenizer(token, add_special_tokens=False).input_ids == [token_id]


def test_mistral_names_roles_between_its_own_tokens(tokenizer_of):
    tokenizer = tokenizer_of("mistral")
    text_format = get_format("auto", tokenizer)
    assert text_format.turn.family == "mistral"
    messages = [{"role": "description", "content": "A coin."}, {"role": "output", "content": "Heads"}]
    written = "[INST]description[/INST]A coin.</s>[INST]output[/INST]Heads</s>"
    assert whole_text(text_format, messages) == text_format.bos + written
    assert apply(tokenizer, text_format, messages) == text_format.bos + written
    assert tokenizer.convert_ids_to_tokens(tokenizer(written, add_special_tokens=False).input_ids).count("</s>") == 2
    with pytest.raises(UserError, match="format 'chat' is not written for mistral models: use --format spectrum"):
        get_format("chat", tokenizer)


def test_auto_falls_back_to_plain_text_and_says_so(tokenizer_of, caplog):
    plain = tokenizer_of("plain")
    plain.name_or_path = "a/plain-one"
    with caplog.at_level(logging.WARNING):
        for _ in range(7):
            text_format = get_format("auto", plain)
    assert (text_format.name, text_format.turn, text_format.bos) == ("colon", None, "")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("tokenizer 'a/plain-one' has no turn tokens")
    assert "colon" in said
    with caplog.at_level(logging.WARNING):
        plain.name_or_path = "a/plain-other"
        get_format("auto", plain)
    assert "'a/plain-other' has no turn tokens" in caplog.text


@pytest.mark.parametrize("name", ["spectrum", "chat"])
def test_turn_formats_need_turn_tokens(tokenizer_of, name):
    with pytest.raises(UserError, match=rf"format '{name}' needs turn tokens .*use --format colon"):
        get_format(name, tokenizer_of("plain"))


def test_an_unknown_format_is_named(tokenizer_of):
    with pytest.raises(UserError, match="no format 'spectral': choose auto, spectrum, colon, chat"):
        get_format("spectral", tokenizer_of("chatml"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_wrong_role_is_refused_by_renderer_and_template(tokenizer, name):
    text_format = get_format(name, tokenizer)
    messages = [*GOLDEN_MESSAGES, {"role": "assistant", "content": "4"}]
    with pytest.raises(UserError, match="message 4 has the role 'assistant'"):
        written_draws(messages, text_format)
    with pytest.raises(TemplateError, match="role 'assistant' is not one of description, input, output"):
        apply(tokenizer, text_format, messages)


def test_roles_out_of_place_are_refused():
    with pytest.raises(UserError, match="message 1 is a description"):
        split_messages([DRAWS[1], DESCRIPTION])
    with pytest.raises(UserError, match="message 1 is an input after an input"):
        split_messages([DRAWS[0], DRAWS[0]])


def test_without_a_description_the_first_output_is_context(tokenizer_of):
    text_format = get_format("spectrum", tokenizer_of("chatml"))
    trained = [text for text, is_trained in pieces(text_format, DRAWS) if is_trained]
    assert trained == ["Tails\n\nedge<|im_end|>"]
    described = [text for text, is_trained in pieces(text_format, [DESCRIPTION, *DRAWS]) if is_trained]
    assert described == ["Heads<|im_end|>", "Tails\n\nedge<|im_end|>"]


def test_a_chat_asks_where_a_draw_has_no_input(tokenizer_of):
    text_format = get_format("chat", tokenizer_of("chatml"))
    _, (draw,) = written_draws([DESCRIPTION, DRAWS[1]], text_format)
    assert draw.context == f"<|im_start|>user\n{REQUEST}<|im_end|>\n<|im_start|>assistant\n"
    assert REQUEST not in text_format.prompt([DESCRIPTION, DRAWS[0]])
