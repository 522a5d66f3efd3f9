"""Samples must be those of plain forward passes: the same probabilities, inverted at the numbers that were drawn."""

import functools
import logging
from collections import Counter

import numpy as np
import pytest
import torch
from bitsandbytes.functional import has_avx512bf16
from peft import LoraConfig, get_peft_model
from scipy.stats import chi2_contingency, chisquare
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
)

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation import sample as sample_module
from spectrum_suite.generation.respond import Way, respond
from spectrum_suite.generation.sample import Samples, draw_tokens, sample, sample_uniforms
from spectrum_suite.layouts import proof_of
from spectrum_suite.models import load_for_scoring
from tests.tiny_models import save_model, tiny_model

EOS = 1  # of the tiny models and of the tokenizer
SIZE = 10  # tokens of a sample, more than a sliding layer sees
SHORT = "Pick"
LONG = "This prompt is much longer than the window that a sliding layer sees. "
MESSAGES = [{"role": "description", "content": "A coin."}, {"role": "input", "content": "Toss it."}]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture
def seen(monkeypatch):
    """{uniform number: (the probabilities that it was used on, the token that it gave)}"""
    found = {}

    def spy(logits, rows, uniforms):
        probabilities = logits.double().softmax(-1)
        tokens = draw_tokens(logits, rows, uniforms)
        found.update(zip(uniforms, zip(probabilities[rows], tokens, strict=True), strict=True))
        return tokens

    monkeypatch.setattr(sample_module, "draw_tokens", spy)
    return found


@pytest.fixture
def scripted(monkeypatch):
    """``scripted(tokens)``: every sample gets these tokens, whatever the model says; returns those not asked for."""

    def script(tokens):
        left = list(tokens)
        monkeypatch.setattr(sample_module, "draw_tokens", lambda logits, rows, uniforms: [left.pop(0)] * len(uniforms))
        return left

    return script


class Passes:
    """The shapes of the tokens that a model runs, and the positions that its LM head sees."""

    def __init__(self, model):
        self.tokens, self.scored = [], []
        model.register_forward_pre_hook(self.see, with_kwargs=True)
        model.get_output_embeddings().register_forward_hook(lambda *args: self.scored.append(args[-1].shape[:-1]))

    def see(self, module, args, kwargs):
        self.tokens.append(tuple(kwargs["input_ids"].shape))


def memoryless_model(tokenizer, shares):
    """A model that gives {token or its text: probability} whatever came before; nothing else ever."""
    model = tiny_model("llama", len(tokenizer))
    model.lm_head = torch.nn.Linear(model.config.hidden_size, len(tokenizer))
    torch.nn.init.zeros_(model.lm_head.weight)
    torch.nn.init.constant_(model.lm_head.bias, -torch.inf)
    for token, share in shares.items():
        found = token if isinstance(token, int) else one_token(tokenizer, token)
        model.lm_head.bias.data[found] = np.log(share)
    return model


def sharp_model(tokenizer):
    """A model with four likely tokens, the end among them, whose shares depend on what came before."""
    model = tiny_model("gemma3", len(tokenizer))
    model.lm_head = torch.nn.Linear(model.config.hidden_size, len(tokenizer))
    torch.nn.init.zeros_(model.lm_head.bias)
    model.lm_head.bias.data[[EOS, 40, 41, 42]] = torch.tensor([8.6, 9.0, 9.0, 9.0])
    return model


def one_token(tokenizer, text):
    (found,) = tokenizer(text, add_special_tokens=False).input_ids
    return found


def plain_probabilities(model, prompt, tokens):
    """Of each token and of the one after, by a forward pass over all of them."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0]
    return logits[len(prompt) - 1 :].double().softmax(-1)


def drawn_tokens(seen, tokenizer, prompt, n, size, *, seed=0):
    """The tokens of each of the samples of a prompt, and the probabilities that they were drawn from."""
    ids = tuple(tokenizer(prompt).input_ids)
    uniforms = [[u for u in sample_uniforms(seed, ids, 0, number, size) if u in seen] for number in range(n)]
    return [[seen[u][1] for u in row] for row in uniforms], [[seen[u][0] for u in row] for row in uniforms]


def assert_drawn_from_plain_passes(found, seen, model, tokenizer, prompts):
    """Each token has the probabilities that a plain pass gives, and each text the tokens up to the end."""
    assert len(found) == len(prompts)
    for prompt, samples in zip(prompts, found, strict=True):
        tokens, probabilities = drawn_tokens(seen, tokenizer, prompt, len(samples.texts), SIZE)
        for text, ids, rows in zip(samples.texts, tokens, probabilities, strict=True):
            expected = plain_probabilities(model, tokenizer(prompt).input_ids, ids[:-1])
            torch.testing.assert_close(torch.stack(rows), expected, atol=1e-5, rtol=0)
            assert text == tokenizer.decode(ids, skip_special_tokens=True)
            assert ids.index(EOS) == len(ids) - 1 if EOS in ids else len(ids) == SIZE
        assert samples.unfinished == sum(EOS not in ids for ids in tokens)


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("gemma3", "sdpa"),
        ("gemma3", "eager"),
        ("gemma3_vision", "sdpa"),
        ("llama", "sdpa"),
        ("mistral", "sdpa"),
        ("bloom", "eager"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4, 128])
def test_tokens_are_drawn_from_the_probabilities_of_a_plain_pass(name, attention, batch_size, tokenizer, seen):
    model = tiny_model(name, len(tokenizer), attention=attention)
    found = sample(model, tokenizer, [SHORT, LONG], 6, max_new_tokens=SIZE, batch_size=batch_size, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [SHORT, LONG])


def test_so_they_are_where_some_layers_keep_a_state_instead_of_keys(tokenizer, seen):
    torch.manual_seed(0)
    config = Lfm2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, layer_types=["conv", "full_attention"], initializer_range=0.2, eos_token_id=EOS,
    )  # fmt: skip
    model = Lfm2ForCausalLM(config).eval()
    found = sample(model, tokenizer, [LONG], 10, max_new_tokens=SIZE, batch_size=7, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [LONG])


def test_so_they_are_where_samples_share_rows_part_and_end(tokenizer, seen):
    model = sharp_model(tokenizer)
    passes = Passes(model)
    found = sample(model, tokenizer, [LONG], 60, max_new_tokens=SIZE, seed=0)
    rows = [shape[0] for shape in passes.tokens[1:]]
    assert rows[0] < 10 < max(rows) < 60  # shared at first, parted then
    assert rows[-1] < max(rows)  # and fewer when some have ended
    assert 0 < found[0].unfinished < 60
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [LONG])


def test_an_adapter_samples_as_it_is(tokenizer, seen):
    model = get_peft_model(
        tiny_model("gemma3", len(tokenizer)),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False),
    ).eval()
    found = sample(model, tokenizer, [LONG], 6, max_new_tokens=SIZE, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [LONG])
    with model.disable_adapter():
        assert sample(model, tokenizer, [LONG], 6, max_new_tokens=SIZE, seed=0) != found


@pytest.mark.skipif(has_avx512bf16(), reason="bitsandbytes cannot pack matrices this small on such a processor")
def test_so_does_a_model_in_4_bits(tokenizer, seen, tmp_path):
    model, _ = load_for_scoring(str(save_model(tmp_path, tokenizer)), device="cpu", load_in_4bit=True)
    assert type(model.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    found = sample(model, tokenizer, [LONG], 6, max_new_tokens=SIZE, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [LONG])


def test_second_tokens_are_distributed_as_the_sum_over_all_first_ones_says(tokenizer, seen):
    model = tiny_model("gemma3", len(tokenizer))
    ids = tokenizer(SHORT).input_ids
    (first,) = plain_probabilities(model, ids, [])
    with torch.inference_mode():
        rows = torch.tensor([[*ids, token] for token in range(len(tokenizer))])
        after = model(rows).logits[:, -1].double().softmax(-1)
    first[EOS] = 0  # nothing comes after the end
    expected = (first @ after).numpy()
    sample(model, tokenizer, [SHORT], 3000, max_new_tokens=2, seed=1, batch_size=3000)
    tokens, _ = drawn_tokens(seen, tokenizer, SHORT, 3000, 2, seed=1)
    second = [ids[1] for ids in tokens if len(ids) == 2]
    order = np.argsort(-expected)
    bins = np.empty(len(order), dtype=int)
    bins[order] = np.minimum(expected[order].cumsum() / expected.sum() * 30, 29).astype(int)  # from likely to unlikely
    shares = np.bincount(bins, weights=expected, minlength=30) / expected.sum()
    assert chisquare(np.bincount(bins[second], minlength=30), shares * len(second)).pvalue > 0.01


def test_samples_are_distributed_as_those_of_generate(tokenizer, seen):
    model = sharp_model(tokenizer)
    n, size = 1500, 4
    sample(model, tokenizer, [LONG], n, max_new_tokens=size, seed=0, batch_size=n)
    ours, _ = drawn_tokens(seen, tokenizer, LONG, n, size)
    prompt = tokenizer(LONG, return_tensors="pt").input_ids
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": size}
    torch.manual_seed(0)
    theirs = model.generate(prompt, **options, num_return_sequences=n)[:, prompt.shape[1] :].tolist()
    theirs = [ids[: ids.index(EOS) + 1] if EOS in ids else ids for ids in theirs]
    counts = [Counter(map(tuple, rows)) for rows in (ours, theirs)]
    common = [ids for ids in counts[0] | counts[1] if counts[0][ids] + counts[1][ids] >= 10]
    assert len(common) > 40
    table = [[*(found[ids] for ids in common), n - sum(found[ids] for ids in common)] for found in counts]
    assert chi2_contingency(table).pvalue > 0.01


def test_lengths_are_geometric_where_the_end_has_a_constant_share(tokenizer):
    model = memoryless_model(tokenizer, {"a": 0.75, EOS: 0.25})
    found = sample(model, tokenizer, [SHORT], 2000, max_new_tokens=4, seed=0)[0]
    counts = Counter(map(len, found.texts))
    assert {text.strip("a") for text in found.texts} == {""}
    assert found.unfinished == counts[4]
    shares = [0.25 * 0.75**length for length in range(4)] + [0.75**4]
    assert chisquare([counts[length] for length in range(5)], np.array(shares) * 2000).pvalue > 0.01


def test_a_model_of_one_mind_runs_one_row_and_a_prompt_runs_once(tokenizer):
    model = memoryless_model(tokenizer, {"a": 1.0})
    passes = Passes(model)
    assert sample(model, tokenizer, [LONG], 50, max_new_tokens=5, seed=0) == [Samples(("aaaaa",) * 50, unfinished=50)]
    assert passes.tokens == [(1, len(tokenizer(LONG).input_ids)), *[(1, 1)] * 4]
    assert passes.scored == [(1,)] * 5  # the LM head sees last tokens alone


def test_rows_are_the_distinct_texts_that_go_on(tokenizer):
    model = memoryless_model(tokenizer, {"a": 0.4, "b": 0.4, EOS: 0.2})
    passes = Passes(model)
    found = sample(model, tokenizer, [SHORT], 40, max_new_tokens=6, seed=0)[0]
    texts = [{text[:step] for text in found.texts if len(text) >= step} for step in range(1, 6)]
    assert [shape[0] for shape in passes.tokens[1:]] == [len(found) for found in texts]


def test_a_batch_holds_no_more_samples_than_asked_for(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    passes = Passes(model)
    sample(model, tokenizer, [SHORT], 30, max_new_tokens=3, batch_size=8, seed=0)
    assert max(shape[0] for shape in passes.tokens) == 8


def test_a_sample_depends_on_seed_prompt_and_number_alone(tokenizer):
    model = tiny_model("gemma3", len(tokenizer))

    def texts(prompts, n=10, **options):
        options = {"max_new_tokens": 6, "seed": 0} | options
        return [found.texts for found in sample(model, tokenizer, prompts, n, **options)]

    (whole,) = texts([LONG])
    assert len(set(whole)) == 10
    assert texts([LONG]) == [whole]
    assert texts([LONG], batch_size=1) == texts([LONG], batch_size=3) == [whole]
    assert texts([LONG], n=4) == [whole[:4]]
    assert texts([SHORT, LONG])[1] == whole
    assert all(text.startswith(short) for text, short in zip(whole, *texts([LONG], max_new_tokens=2), strict=True))
    assert not set(texts([LONG], seed=1)[0]) & set(whole)
    first, second = texts([LONG, LONG])
    assert first == whole
    assert not set(second) & set(whole)


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("spectrum", "Heads<|eot_id|>", "Heads"),
        ("chat", " two\n\nlines<|eot_id|>", " two\n\nlines"),
        ("spectrum", "<|eot_id|>", ""),
        ("spectrum", "a<|begin_of_text|>b<|end_of_text|>", "ab"),
        ("colon", " Heads\n\n", "Heads"),
        ("colon", " Heads.\n\n", "Heads."),  # one token ends the sentence and the output
        ("colon", "  two\nlines é日\n\n", " two\nlines é日"),
        ("colon", "\n\n", ""),
        ("colon", " Heads\n<|end_of_text|>", "Heads\n"),
        (None, " Heads\n\nTails<|eot_id|>\n<|end_of_text|>", " Heads\n\nTails\n"),
    ],
)
def test_a_sample_ends_where_the_format_says(name, written, expected, tokenizer, scripted):
    model = tiny_model("llama", len(tokenizer))
    more = tokenizer(" more", add_special_tokens=False).input_ids
    left = scripted([*tokenizer(written, add_special_tokens=False).input_ids, *more])
    prompt, text_format = (SHORT, None) if name is None else (MESSAGES, get_format(name, tokenizer))
    found = sample(model, tokenizer, [prompt], 1, text_format=text_format, max_new_tokens=40, seed=0)
    assert found == [Samples((expected,), unfinished=0)]
    assert left == more


def test_a_blank_line_may_come_in_two_tokens_and_stops_a_string_where_its_format_is_given(tokenizer, scripted):
    model = tiny_model("llama", len(tokenizer))
    line = one_token(tokenizer, "\n")
    left = scripted([one_token(tokenizer, "a"), line, line, 5])
    colon = get_format("colon", tokenizer)
    found = sample(model, tokenizer, ["Answer:"], 1, text_format=colon, max_new_tokens=9, seed=0)
    assert found == [Samples(("a",), unfinished=0)]
    assert left == [5]


def test_what_is_cut_short_is_counted_and_kept(tokenizer, scripted):
    scripted(tokenizer(" Heads and so on", add_special_tokens=False).input_ids)
    model, size = tiny_model("llama", len(tokenizer)), len(tokenizer(" Heads", add_special_tokens=False).input_ids)
    colon = get_format("colon", tokenizer)
    found = sample(model, tokenizer, [MESSAGES], 1, text_format=colon, max_new_tokens=size, seed=0)
    assert found == [Samples(("Heads",), unfinished=1)]


def test_every_end_of_sequence_token_of_the_generation_config_ends_a_sample(tokenizer, scripted):
    model = tiny_model("llama", len(tokenizer))
    model.generation_config.eos_token_id = [7, 8]
    for end in (7, 8, EOS):
        scripted([one_token(tokenizer, "a"), end])
        assert sample(model, tokenizer, [SHORT], 1, max_new_tokens=9, seed=0) == [Samples(("a",), unfinished=0)]


def test_messages_are_written_in_the_format_that_fits(tokenizer, scripted):
    model = tiny_model("llama", len(tokenizer))
    passes = Passes(model)
    scripted([EOS])
    sample(model, tokenizer, [MESSAGES], 1, max_new_tokens=9, seed=0)
    tokenizer.chat_template = get_format("spectrum", tokenizer).chat_template()
    prompt = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False)
    assert passes.tokens == [(1, len(prompt))]


@pytest.mark.parametrize("vocabulary", [5, 1024, 3000])
def test_a_token_is_where_the_cumulative_sum_passes_the_number(vocabulary):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=6, size=(4, vocabulary)).astype(np.float32)
    logits[:, rng.choice(vocabulary, vocabulary // 3, replace=False)] = -np.inf
    logits[:, 0] = -np.inf  # the number 0 must not give a token without probability
    rows, uniforms = rng.integers(4, size=500), rng.random(500)
    uniforms[:2] = 0, 1 - 2.0**-53
    cumulative = np.exp(logits.astype(np.float64)).cumsum(-1)
    cumulative /= cumulative[:, -1:]
    expected = [np.searchsorted(cumulative[row], u, side="right") for row, u in zip(rows, uniforms, strict=True)]
    found = draw_tokens(torch.tensor(logits), rows.tolist(), uniforms.tolist())
    assert found == expected
    assert np.isfinite(logits[rows, found]).all()


def test_tokens_too_rare_for_a_float32_sum_are_drawn_as_often_as_they_should_be():
    """262,143 tokens of 1e-10 each behind one that has the rest."""
    logits = torch.full((1, 262_144), float(np.log(1e-10)))
    logits[0, 0] = 0.0
    places = [3, 1000, 131_072, 262_143]
    total = 1 + 262_143e-10
    uniforms = [(1 + (place - 0.5) * 1e-10) / total for place in places]
    found = draw_tokens(logits, [0] * 4, uniforms)
    assert np.abs(np.array(found) - places).max() <= 1  # 1e-10 is not a float32


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (["a"], {"n": 0}, "n is 0: give a number of at least 1"),
        (["a"], {"max_new_tokens": 0}, "max_new_tokens is 0"),
        (["a"], {"batch_size": 0}, "batch_size is 0"),
        (["a", "word " * 198], {"max_new_tokens": 200}, "prompt 1 with 200 new tokens has .* more than the 400"),
    ],
)
def test_mistakes_are_named(prompts, options, message, tokenizer):
    options = {"n": 1, "max_new_tokens": 2, "seed": 0} | options
    with pytest.raises(UserError, match=message):
        sample(tiny_model("llama", len(tokenizer)), tokenizer, prompts, **options)


def test_a_model_without_probabilities_is_refused(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    model.model.norm.weight.data[0] = torch.nan
    with pytest.raises(UserError, match="logits are not finite"):
        sample(model, tokenizer, [SHORT], 1, max_new_tokens=2, seed=0)


def test_a_model_with_a_state_draws_the_same_whether_that_can_be_followed_or_not(tokenizer, seen):
    config = MambaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, initializer_range=0.2, eos_token_id=EOS
    )
    model = MambaForCausalLM(config).eval()
    found = sample(model, tokenizer, [SHORT, LONG], 6, max_new_tokens=SIZE, batch_size=4, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [SHORT, LONG])


def test_a_model_without_a_cache_runs_whole_texts_and_says_so(tokenizer, seen, caplog):
    config = OpenAIGPTConfig(
        vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, initializer_range=0.2, eos_token_id=EOS
    )
    model = OpenAIGPTLMHeadModel(config).eval()
    with caplog.at_level(logging.WARNING):
        found = sample(model, tokenizer, [SHORT, LONG], 6, max_new_tokens=SIZE, batch_size=4, seed=0)
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [SHORT, LONG])
    assert "OpenAIGPTLMHeadModel cannot continue from its cache" in caplog.text


def test_a_cache_that_leads_astray_after_some_tokens_is_not_used(tokenizer, seen, caplog, monkeypatch):
    """As a state-space layer does whose single step computes another thing than its pass over a text."""
    plain = LlamaForCausalLM.forward

    @functools.wraps(plain)  # with its parameters, of which one is the cache
    def astray(self, *arguments, **options):
        output = plain(self, *arguments, **options)
        if options.get("past_key_values", options.get("cache")) is not None:
            shifted = options["input_ids"][:, -1] % 4 == 0
            output.logits[shifted, ..., 7] += 0.01
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", astray)
    model = tiny_model("llama", len(tokenizer))
    with caplog.at_level(logging.WARNING):
        found = sample(model, tokenizer, [SHORT], 6, max_new_tokens=SIZE, batch_size=4, seed=0)
    assert "LlamaForCausalLM cannot continue from its cache (within 16 tokens by " in caplog.text
    assert_drawn_from_plain_passes(found, seen, model, tokenizer, [SHORT])
    with caplog.at_level(logging.WARNING):
        respond(model, tokenizer, [MESSAGES], text_format=get_format("spectrum", tokenizer), max_new_tokens=3)
    assert "LlamaForCausalLM cannot respond in steps from its cache" in caplog.text
    assert proof_of(model).responses is Way.WHOLE


@pytest.mark.filterwarnings("error::FutureWarning")
def test_no_option_is_passed_that_a_newer_transformers_will_refuse(tokenizer):
    (found,) = sample(tiny_model("llama", len(tokenizer)), tokenizer, [SHORT], 2, max_new_tokens=SIZE, seed=0)
    assert len(found.texts) == 2


@pytest.mark.model
def test_the_embedded_model(seen):
    model, tokenizer = load_for_scoring("embedded:gemma-3-270m", device="cpu")
    colon = get_format("colon", tokenizer)
    (found,) = sample(model, tokenizer, [MESSAGES], 6, text_format=colon, max_new_tokens=6, seed=0)
    prompt = colon.prompt(MESSAGES).removeprefix(colon.bos)
    tokens, rows = drawn_tokens(seen, tokenizer, prompt, 6, 6)
    for ids, probabilities, text in zip(tokens, rows, found.texts, strict=True):
        expected = plain_probabilities(model, tokenizer(prompt).input_ids, ids[:-1])
        torch.testing.assert_close(torch.stack(probabilities), expected, atol=1e-5, rtol=0)
        assert text == tokenizer.decode(ids, skip_special_tokens=True).partition("\n\n")[0].removeprefix(" ")
