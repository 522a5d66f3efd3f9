"""What scorers and the sampler do with the rules is what the adapter does to the logits of whole forward passes."""

import itertools

import pytest
import torch

from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.output_logprobs import output_logprobs, tokenize_sequences
from spectrum_suite.generation.rule_adapter import RULES, RuleBasedAdapter, Rules
from spectrum_suite.generation.sample import draw_tokens, ending_of, rule_adapter, sample, sample_uniforms
from tests.tiny_models import tiny_model

SUBSETS = [subset for size in range(4) for subset in itertools.combinations(RULES, size)]
STRONG = Rules(ending=9.0, ending_length=4, repetition=-3.0)


@pytest.fixture(scope="module")
def tiny(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    return tiny_model("gemma3", len(tokenizer)), tokenizer


def log_probs(model, adapter, prompt, response):
    """Of each token of a response: a whole pass and one call of the logits processor for each."""
    found = []
    for place, token in enumerate(response):
        text = torch.tensor([[*prompt, *response[:place]]])
        with torch.no_grad():
            logits = model(text).logits[:, -1]
        adapter.prompt_length = len(prompt)
        found.append(adapter(text, logits)[0].log_softmax(-1)[token].item())
    return found


def adapters(model, tokenizer, text_format, rules):
    """One for the code under test, and one that is called as `generate` does."""
    mine = rule_adapter(model, tokenizer, text_format, rules)
    ends = sorted(ending_of(model.generation_config, tokenizer, text_format).ids)
    assert mine.eos_token_ids == ends
    return mine, RuleBasedAdapter(tokenizer, rules, eos_token_id=ends)


@pytest.mark.parametrize("left_out", SUBSETS, ids="+".join)
@pytest.mark.parametrize("counted", ["response", "prompt"])
def test_options_of_prompts_that_begin_alike(tiny, left_out, counted):
    """One prompt with an option is another prompt: what is response there is prompt here."""
    model, tokenizer = tiny
    rules = Rules(ending=9.0, ending_length=4, repetition=-3.0, repetition_in=counted).without(*left_out)
    mine, theirs = adapters(model, tokenizer, None, rules)
    prompts = ["Say I or we", "Say I or we! I I I", "Something else"]
    options = [["! I I I", "! I", " I should not"], [" I", "!"], ["! I I I"]]
    found = option_logprobs(model, tokenizer, prompts, options, rules=mine)
    plain = option_logprobs(model, tokenizer, prompts, options)
    for prompt, texts, scores in zip(prompts, options, found, strict=True):
        before = tokenizer(prompt).input_ids
        for text, score in zip(texts, scores.tolist(), strict=True):
            response = tokenizer(text, add_special_tokens=False).input_ids
            assert score == pytest.approx(sum(log_probs(model, theirs, before, response)), abs=1e-4)
    moved = any(not torch.allclose(*pair, atol=1e-3) for pair in zip(found, plain, strict=True))
    assert moved == (set(left_out) != set(RULES))


@pytest.mark.parametrize("name", ["tags", "chat", "colon"])
def test_outputs_and_their_options(tiny, name):
    model, tokenizer = tiny
    text_format = find_format(name, tokenizer)
    mine, theirs = adapters(model, tokenizer, text_format, STRONG)
    draws = [{"role": "output", "content": text} for text in ("We sing", "I I I!", "We sing")]
    messages = [{"role": "description", "content": "What one says."}, *draws]
    options = ["We sing", "I I I!", "I should"]
    (found,) = output_logprobs(model, tokenizer, [messages], options=options, text_format=text_format, rules=mine)
    (tokenized,) = tokenize_sequences(tokenizer, [messages], text_format)
    for output, (start, end) in enumerate(tokenized.outputs):
        before, response = tokenized.ids[:start], tokenized.ids[start:end]
        expected = sum(log_probs(model, theirs, before, response))
        assert found.log_probs[output].item() == pytest.approx(expected, abs=1e-4)
        same = options.index(draws[output]["content"])
        assert found.options[output, same].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("counted", ["response", "prompt"])
def test_samples_are_drawn_from_the_product(tiny, counted):
    model, tokenizer = tiny
    rules = Rules(ending=9.0, ending_length=4, repetition=-3.0, repetition_in=counted)
    mine, theirs = adapters(model, tokenizer, None, rules)
    (found,) = sample(model, tokenizer, ["We sing"], 12, max_new_tokens=6, seed=3, rules=mine)
    prompt = tuple(tokenizer("We sing").input_ids)
    for number, text in enumerate(found.texts):
        uniforms, response = sample_uniforms(3, prompt, 0, number, 6), []
        while len(response) < 6 and not set(response) & set(theirs.eos_token_ids):
            ids = torch.tensor([[*prompt, *response]])
            with torch.no_grad():
                logits = model(ids).logits[:, -1]
            theirs.prompt_length = len(prompt)
            response += draw_tokens(theirs(ids, logits), [0], [uniforms[len(response)]])
        assert text == tokenizer.decode(response, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    (plain,) = sample(model, tokenizer, ["We sing"], 12, max_new_tokens=6, seed=3)
    assert plain.texts != found.texts
    assert found.unfinished < plain.unfinished


def test_a_word_without_a_token_is_told(tiny, caplog):
    model, tokenizer = tiny
    rule_adapter(model, tokenizer, None, Rules(words={"extraordinarily unlikely": 1.0}))
    assert "no token of this vocabulary is 'extraordinarily unlikely'" in caplog.text
