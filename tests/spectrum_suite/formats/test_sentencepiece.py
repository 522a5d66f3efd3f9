"""SentencePiece in every layout: segments have the tokens that they have in the whole text, everywhere."""

import json
import math

import pytest
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM

from spectrum_suite import option_table, sample
from spectrum_suite.formats.decode import output_decoder
from spectrum_suite.formats.tags import find_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.generation.logprobs import option_token_ids, prompt_token_ids
from spectrum_suite.generation.output_logprobs import output_option_ids, tokenize_sequences
from spectrum_suite.generation.respond import respond
from spectrum_suite.generation.rule_adapter import token_ids_of
from spectrum_suite.markers.dropout import MarkerDropout
from spectrum_suite.models import find_model, load_tokenizer
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.implicit import tokenize_conversations
from spectrum_suite.training.marked import MarkedView, all_shown
from spectrum_suite.training.tokenize import tokenize_rows
from tests.spectrum_suite.formats.sentencepiece_tokenizers import LAYOUTS, sentencepiece_tokenizer, trained_model
from tests.written_rows import whole_text

FORMATS = ("colon", "spectrum", "chat", "tags")
OUTPUTS = ["Heads", "Tails", "7", "a long answer, with (signs)", "Ünïcode ☃ 中文", "two\nlines", "a  b"]
CASES = [(layout, name) for layout in LAYOUTS for name in FORMATS]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(layout, name)``: a tokenizer that has the tokens of the format, and the format."""
    found = {}

    def get(layout, name, **options):
        key = (layout, name in ("spectrum", "chat"), *options.items())
        if key not in found:
            found[key] = sentencepiece_tokenizer(layout, tmp_path_factory.mktemp("model"), turns=key[1], **options)
        return found[key], find_format(name, found[key])

    return get


def conversation(description="A coin is tossed.", given=("red", None)):
    messages = [{"role": "description", "content": description}] if description else []
    for place, output in enumerate(OUTPUTS):
        if given[place % 2]:
            messages.append({"role": "input", "content": given[place % 2]})
        messages.append({"role": "output", "content": output})
    return messages


def template_ids(tokenizer, text_format, messages, **options):
    options = {"add_generation_prompt": True, "return_dict": False} | options
    return tokenizer.apply_chat_template(messages, chat_template=text_format.chat_template(), **options)


def sequenced(tokenizer, text_format, messages, **options):
    rows, too_long = tokenize_rows(
        Dataset.from_list([{"id": "r", "messages": messages}]), tokenizer, text_format, max_length=1000
    )
    assert too_long == 0
    options = {"max_length": 1000, "description_dropout": 0.0, "permute": False} | options
    return SpectrumCollator.for_format(text_format, tokenizer, **options), rows[0]


@pytest.mark.parametrize("messages", [conversation(), conversation(None), conversation(given=(None, None))])
@pytest.mark.parametrize(("layout", "name"), CASES)
def test_training_and_scoring_have_the_tokens_of_the_whole_text(made, layout, name, messages):
    tokenizer, text_format = made(layout, name)
    whole = template_ids(tokenizer, text_format, messages)
    collator, row = sequenced(tokenizer, text_format, messages)
    sequence = collator.sequence(row)
    (scored,) = tokenize_sequences(tokenizer, [messages], text_format)
    assert sequence.ids == list(scored.ids) == whole[: len(sequence.ids)]
    assert sequence.spans == list(scored.outputs)[scored.scored.start :]
    assert prompt_token_ids(tokenizer, [messages], text_format) == [tuple(whole)]
    for place, (start, end) in enumerate(scored.outputs):
        before = messages[: [n for n, message in enumerate(messages) if message["role"] == "output"][place]]
        assert prompt_token_ids(tokenizer, [before], text_format) == [scored.ids[:start]]
        assert output_option_ids(tokenizer, [OUTPUTS[place]], text_format) == [scored.ids[start:end]]
        (option,) = option_token_ids(tokenizer, [OUTPUTS[place]], text_format)
        assert scored.ids[start:end][: len(option)] == option


@pytest.mark.parametrize(("layout", "name"), CASES)
def test_a_dropped_description_leaves_a_text_that_begins_with_its_first_draw(made, layout, name):
    tokenizer, text_format = made(layout, name)
    collator, row = sequenced(tokenizer, text_format, conversation(), description_dropout=1.0)
    sequence = collator.sequence(row)
    assert sequence.ids == template_ids(tokenizer, text_format, conversation(None))[: len(sequence.ids)]
    assert sequence.trained_outputs == len(OUTPUTS) - 1
    tree, row = sequenced(tokenizer, text_format, conversation(), description_dropout=1.0, branching=0.5)
    assert tree.tree(row).ids == sequence.ids[:-1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_doubled_and_the_text_reads_as_it_was_written(made, layout):
    tokenizer, text_format = made(layout, "colon")
    messages = conversation("A coin is tossed.", (None, None))
    (scored,) = tokenize_sequences(tokenizer, [messages], text_format)
    text = whole_text(text_format, messages)
    read = tokenizer.decode(list(scored.ids), clean_up_tokenization_spaces=False)
    assert read.removeprefix("<s>").strip() == text.removeprefix("<s>").strip()
    (heads,) = option_token_ids(tokenizer, ["Heads"], text_format)
    assert tokenizer.convert_ids_to_tokens(list(heads))[0] == "▁Heads"


def test_an_old_layout_puts_a_space_after_a_special_token_as_its_template_does(made):
    tokenizer, text_format = made("always", "spectrum")
    ids = prompt_token_ids(tokenizer, [conversation()[:1]], text_format)[0]
    assert tokenizer.convert_ids_to_tokens(list(ids))[2].startswith("▁")


@pytest.mark.parametrize("name", ["colon", "spectrum", "tags"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs_are_decoded_to_the_text_that_was_encoded(made, layout, name):
    tokenizer, text_format = made(layout, name)
    decode, encoder = output_decoder(tokenizer, text_format), token_encoder(tokenizer, text_format)
    texts = [text_format.option(text) for text in [*OUTPUTS, " Heads", "x\n"]]
    assert [decode(ids) for ids in encoder.options(texts)] == texts


ANSWERS = {"Heads": 0.6, "Tails": 0.39}


def follower_model(tokenizer, text_format, messages):
    """A model of pairs of tokens: after the prompt, as the template has it, the answers have their probabilities."""
    size, far = len(tokenizer), 100.0
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, num_hidden_layers=0, num_attention_heads=1, head_dim=8, intermediate_size=8
    )
    logits = torch.full((size, size), -far)
    prompt = template_ids(tokenizer, text_format, messages)
    for answer, probability in ANSWERS.items():
        answered = [*messages, {"role": "output", "content": answer}]
        first, *rest = template_ids(tokenizer, text_format, answered, add_generation_prompt=False)[len(prompt) :]
        logits[prompt[-1], first] = math.log(probability)
        for before, token in zip([first, *rest], rest, strict=False):
            logits[before, token] = 0.0
    logits[prompt[-1], tokenizer.eos_token_id] = math.log(1 - sum(ANSWERS.values()))
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(1000 * torch.eye(size))
        model.lm_head.weight.copy_(logits.T / size**0.5)
    return model


@pytest.mark.parametrize("layout", LAYOUTS)
def test_coverage_is_what_the_model_gives_the_answers(made, layout):
    tokenizer, text_format = made(layout, "colon")
    messages = conversation()[:1]
    model = follower_model(tokenizer, text_format, messages)
    table = option_table(model, tokenizer, messages, list(ANSWERS), text_format=text_format)
    assert table.mass == pytest.approx(0.99, abs=1e-4)
    assert table.probabilities == pytest.approx([0.6 / 0.99, 0.39 / 0.99], abs=1e-4)
    (drawn,) = sample(model, tokenizer, [messages], 40, text_format=text_format, max_new_tokens=12, seed=1)
    assert {"Heads", "Tails"} <= set(drawn.texts) <= {"Heads", "Tails", ""}
    assert drawn.unfinished == 0
    (response,) = respond(model, tokenizer, [messages], text_format=text_format, max_new_tokens=12)
    assert (response.text, response.ended) == ("Heads", True)


@pytest.mark.parametrize(("layout", "name"), CASES)
def test_conversations_begin_as_their_prompts_do(made, layout, name):
    tokenizer, text_format = made(layout, name)
    messages = conversation()[:4]
    rows, _ = tokenize_conversations(
        Dataset.from_list([{"id": "r", "messages": messages}]), tokenizer, text_format, max_length=500
    )
    collator = SpectrumCollator.for_format(text_format, tokenizer, max_length=500, description_dropout=0.0)
    whole = template_ids(tokenizer, text_format, messages)
    sequence = collator.sequence(rows[0])
    prompt = template_ids(tokenizer, text_format, messages[:-1])
    assert sequence.ids == whole[: len(sequence.ids)]
    assert sequence.labels.count(IGNORED) == len(prompt)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_marked_rows_are_tokenized_the_same_in_every_epoch(made, layout):
    tokenizer, text_format = made(layout, "colon")
    source = {"id": "r", "messages": conversation()[:4], "markers": [{"lang": "French"}, {"lang": "German"}]}
    rows = Dataset.from_list([source])
    tokenized, _ = tokenize_rows(rows, tokenizer, text_format, max_length=500, cut=all_shown)
    view = MarkedView(rows, token_encoder(tokenizer, text_format), text_format, MarkerDropout(0.0, 0.0, 1))
    for name in ("description", "contexts", "outputs", "starts"):
        assert view(tokenized[0], 0).get(name) == tokenized[0].get(name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_string_ends_where_its_text_ends_and_begins_as_the_tokenizer_begins(made, layout):
    tokenizer, _ = made(layout, "colon")
    ending, _ = made(layout, "colon", ends=True) if layout in ("first", "always") else (tokenizer, None)
    (ids,) = prompt_token_ids(ending, ["The coin shows"])
    assert list(ids) == tokenizer("The coin shows").input_ids
    assert option_token_ids(ending, ["Heads"]) == option_token_ids(tokenizer, ["Heads"])
    assert tokenizer.convert_ids_to_tokens(list(option_token_ids(ending, [" Heads"])[0])) == ["▁Heads"]


@pytest.mark.parametrize("layout", ["first", "always"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_tokenizer_that_ends_texts_changes_no_prompt(made, layout, name):
    tokenizer, text_format = made(layout, name)
    ending, same_format = made(layout, name, ends=True)
    assert ending("x").input_ids[-1] == ending.eos_token_id
    assert prompt_token_ids(ending, [conversation()], same_format) == prompt_token_ids(
        tokenizer, [conversation()], text_format
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_words_of_the_rules_are_found(made, layout):
    tokenizer, _ = made(layout, "colon")
    found = token_ids_of(tokenizer, [" Heads", "I", "\n"])
    words = [set(tokenizer.convert_ids_to_tokens(found[word])) for word in found]
    assert words == [{"▁Heads"}, {"I", "<0x49>"}, {"<0x0A>"}]


def test_a_folder_with_a_tokenizer_model_alone_is_read(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(trained_model("bpe"))
    config = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": True, "bos_token": "<s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": "</s>", "unk_token": "<unk>"}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 1200}))
    tokenizer = load_tokenizer(find_model(str(tmp_path), weights=False))
    heads = prompt_token_ids(tokenizer, ["Output: Heads"])[0]
    assert tokenizer.decode(heads, skip_special_tokens=True) == "Output: Heads"
    (option,) = option_token_ids(tokenizer, [" Heads"])
    assert heads[-len(option) :] == option
