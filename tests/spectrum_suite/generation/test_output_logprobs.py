"""Outputs inside a sequence, and options in their places, must get what a plain forward pass gives each of them."""

import logging
import math

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model

from spectrum_suite import lm_head
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation import output_logprobs as module
from spectrum_suite.generation.output_logprobs import output_logprobs, outputs_that_fit, tokenize_sequences
from spectrum_suite.models import load_for_scoring
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from tests.tiny_models import tiny_model
from tests.written_rows import pieces

FORMAT_NAMES = ("spectrum", "chat", "colon")


def sequence(description, *draws):
    messages = [] if description is None else [{"role": "description", "content": description}]
    for given, output in draws:
        messages += [] if given is None else [{"role": "input", "content": given}]
        messages.append({"role": "output", "content": output})
    return messages


COIN = sequence("Tosses of a coin.", *[(None, side) for side in ("Heads", "Tails", "Heads", "Heads")])
VOTES = sequence(None, ("More parks?", "Agree"), ("Higher rents?", "Disagree"), ("日本?", "Agree strongly"))
TEXTS = sequence("Some lines.", ("a", "One line.\nAnother, 5 % longer."), ("b", "é🎲"), (None, "10"), (None, "1"))
SEQUENCES = [COIN, VOTES, TEXTS, COIN[:3], sequence("One.", (None, "1"))]
OPTIONS = ["Heads", "Tails", "Agree", "Agree strongly", "1", "10", "é"]


@pytest.fixture(scope="module")
def llama3(tokenizer_of):
    return tokenizer_of("llama3")


def last_log_prob(model, before, output):
    """Of ``output`` behind ``before`` by one plain pass, in float64."""
    with torch.inference_mode():
        ids = torch.tensor([[*before, *output]])
        logits = model(input_ids=ids, logits_to_keep=len(output) + 1).logits[0, :-1]
    found = torch.log_softmax(logits.double(), dim=-1)
    return sum(found[place, token].item() for place, token in enumerate(output))


def plain(model, tokenizer, messages, text_format, options=()):
    """Per output its log-probability and those of the options: segments tokenized one by one, a pass for each."""

    def encode(text):
        if not text.endswith("\n\n") or text_format.turn is not None:
            return tokenizer(text, add_special_tokens=False).input_ids
        whole = tokenizer(text + "Output", add_special_tokens=False).input_ids
        return whole[: -len(tokenizer("Output", add_special_tokens=False).input_ids)]

    before, found = [], []
    for text, trained in pieces(text_format, messages):
        ids = encode(text)
        if trained:
            others = [encode(text_format.output(option)) for option in options]
            found.append([last_log_prob(model, before, output) for output in (ids, *others)])
        before += ids
    return found


def assert_plain(found, model, tokenizer, sequences, text_format, *, options=()):
    for scores, messages in zip(found, sequences, strict=True):
        skipped = int(messages[0]["role"] != "description")
        expected = torch.tensor(plain(model, tokenizer, messages, text_format, options), dtype=torch.float32)
        assert scores.log_probs[:skipped].isnan().all()
        torch.testing.assert_close(scores.log_probs[skipped:], expected[:, 0], atol=1e-4, rtol=0)
        if options:
            torch.testing.assert_close(scores.options[skipped:], expected[:, 1:], atol=1e-4, rtol=0)


class Counter:
    """Counts the tokens that a model runs, and the positions that its LM head sees."""

    def __init__(self, model):
        self.tokens, self.rows, self.scored = 0, [], []
        model.register_forward_pre_hook(self.see, with_kwargs=True)
        model.get_output_embeddings().register_forward_hook(lambda *args: self.scored.append(len(args[-1])))

    def see(self, module, args, kwargs):
        self.tokens += kwargs["input_ids"].numel()
        self.rows.append(len(kwargs["input_ids"]))


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_outputs_equal_a_plain_pass_in_every_family_and_format(name, tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    text_format = get_format(name, tokenizer)
    found = output_logprobs(model, tokenizer, SEQUENCES, text_format=text_format, batch_size=3)
    assert_plain(found, model, tokenizer, SEQUENCES, text_format)
    assert all(scores.options is None for scores in found)


@pytest.mark.parametrize(
    ("architecture", "attention", "name"),
    [
        ("gemma3", "sdpa", "spectrum"),
        ("gemma3", "eager", "colon"),
        ("mistral", "sdpa", "colon"),
        ("mistral", "eager", "spectrum"),
        ("llama", "sdpa", "chat"),
    ],
)
def test_options_in_place_equal_a_plain_pass_for_each(architecture, attention, name, llama3):
    model = tiny_model(architecture, len(llama3), attention=attention)
    text_format = get_format(name, llama3)
    found = output_logprobs(model, llama3, SEQUENCES, options=OPTIONS, text_format=text_format, batch_size=2)
    assert_plain(found, model, llama3, SEQUENCES, text_format, options=OPTIONS)


def test_an_option_that_is_the_output_has_its_log_probability(llama3):
    (scores,) = output_logprobs(tiny_model("llama", len(llama3)), llama3, [COIN], options=["Heads", "Tails"])
    true = [0, 1, 0, 0]
    assert torch.equal(scores.options[range(4), true], scores.log_probs)


def test_an_architecture_that_cannot_share_gives_the_same_and_says_so(llama3, caplog):
    model = tiny_model("bloom", len(llama3))
    text_format = get_format("spectrum", llama3)
    with caplog.at_level(logging.WARNING):
        found = output_logprobs(model, llama3, SEQUENCES, options=OPTIONS, text_format=text_format)
    assert_plain(found, model, llama3, SEQUENCES, text_format, options=OPTIONS)
    assert "BloomForCausalLM cannot share a sequence" in caplog.text


def test_an_adapter_is_scored_as_it_is(llama3):
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(tiny_model("gemma3", len(llama3)), config).eval()
    text_format = get_format("spectrum", llama3)
    found = output_logprobs(model, llama3, [COIN], options=["Heads", "Tails"], text_format=text_format)
    assert_plain(found, model, llama3, [COIN], text_format, options=["Heads", "Tails"])


def test_what_a_model_does_to_its_logits_happens_in_every_part(llama3, monkeypatch):
    model = tiny_model("gemma3", len(llama3))
    model.config.final_logit_softcapping = 1.5
    monkeypatch.setattr(lm_head, "HEAD_POSITIONS", 3)
    text_format = get_format("spectrum", llama3)
    counter = Counter(model)
    found = output_logprobs(model, llama3, SEQUENCES, options=OPTIONS[:3], text_format=text_format)
    assert max(counter.scored) == 3
    assert len(counter.scored) > 3
    assert_plain(found, model, llama3, SEQUENCES, text_format, options=OPTIONS[:3])


def test_many_options_are_scored_in_parts(llama3, monkeypatch):
    model = tiny_model("gemma3", len(llama3))
    text_format = get_format("spectrum", llama3)
    monkeypatch.setattr(module, "MAX_BRANCH_TOKENS", 30)
    counter = Counter(model)
    found = output_logprobs(model, llama3, SEQUENCES, options=OPTIONS, text_format=text_format)
    assert sum(counter.rows) > len(SEQUENCES)
    assert_plain(found, model, llama3, SEQUENCES, text_format, options=OPTIONS)


def test_a_sequence_runs_once_and_options_cost_the_tokens_in_which_they_differ(llama3):
    model = tiny_model("llama", len(llama3))
    text_format = get_format("spectrum", llama3)
    (ids,) = tokenize_sequences(llama3, [COIN], text_format)
    counter = Counter(model)
    (scores,) = output_logprobs(model, llama3, [COIN], text_format=text_format)
    assert (counter.tokens, counter.scored) == (len(ids.ids), [int(scores.tokens.sum())])
    heads, tails = (len(llama3(side, add_special_tokens=False).input_ids) for side in ("Heads", "Tails"))
    counter = Counter(model)
    output_logprobs(model, llama3, [COIN], options=["Heads", "Tails"], text_format=text_format)
    assert counter.tokens == len(ids.ids) + 3 * tails + heads


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_tokens_and_what_counts_are_those_of_training(name, tokenizer):
    text_format = get_format(name, tokenizer)
    collator = SpectrumCollator.for_format(
        text_format, tokenizer, max_length=1000, description_dropout=0.0, permute=False
    )
    for messages in (COIN, VOTES, TEXTS):
        rows = Dataset.from_list([{"id": "a", "messages": messages}])
        (row,) = tokenize_rows(rows, tokenizer, text_format, max_length=1000)[0]
        trained = collator.sequence(row)
        (found,) = tokenize_sequences(tokenizer, [messages], text_format)
        assert list(found.ids) == trained.ids
        scored = {place for output in found.scored for place in range(*found.outputs[output])}
        assert scored == {place for place, label in enumerate(trained.labels) if label != IGNORED}


def test_outputs_fit_in_the_longest_way_of_writing(tokenizer_of):
    ways = [(tokenizer_of(family), name) for family in ("llama3", "chatml") for name in FORMAT_NAMES]
    written = [(tokenizer, get_format(name, tokenizer)) for tokenizer, name in ways]
    lengths = [
        [end for _, end in tokenize_sequences(tokenizer, [COIN], text_format)[0].outputs]
        for tokenizer, text_format in written
    ]
    longest = [max(ends) for ends in zip(*lengths, strict=True)]
    assert len({tuple(ends) for ends in lengths}) > 1
    for count, end in enumerate(longest, start=1):
        assert outputs_that_fit([COIN], written, end) == [count]
        assert outputs_that_fit([COIN], written, end - 1) == [count - 1]


def test_later_outputs_do_not_change_earlier_ones(llama3):
    model = tiny_model("gemma3", len(llama3))
    whole, part = output_logprobs(model, llama3, [COIN, COIN[:3]])
    torch.testing.assert_close(whole.log_probs[:2], part.log_probs, atol=1e-5, rtol=0)


def test_nothing_to_score(llama3):
    model = tiny_model("llama", len(llama3))
    assert output_logprobs(model, llama3, []) == []
    (single,) = output_logprobs(model, llama3, [VOTES[:2]], options=["a"])
    assert math.isnan(single.log_probs.item())
    assert single.options.isnan().all()


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([COIN], ["a", "b", "a"], "two options are the same tokens"),
        ([COIN[:1] + COIN[1:] * 40], None, "sequence 0 has .* more than the 400 .* keep fewer of its outputs"),
        ([[*COIN, {"role": "user", "content": "x"}]], None, "role 'user'"),
    ],
)
def test_mistakes_are_named(sequences, options, message, llama3):
    with pytest.raises(UserError, match=message):
        output_logprobs(tiny_model("llama", len(llama3)), llama3, sequences, options=options)


@pytest.mark.model
def test_the_embedded_model_beyond_its_sliding_window():
    model, tokenizer = load_for_scoring("embedded:gemma-3-270m", device="cpu")
    text_format = get_format("spectrum", tokenizer)
    long = sequence("A coin. " * 170, (None, "Heads"), (None, "Tails"))
    (ids,) = tokenize_sequences(tokenizer, [long], text_format)
    assert len(ids.ids) > model.config.sliding_window
    sequences = [long, VOTES]
    found = output_logprobs(model, tokenizer, sequences, options=["Heads"], text_format=text_format)
    assert_plain(found, model, tokenizer, sequences, text_format, options=["Heads"])


@pytest.mark.parametrize("architecture", ["gemma3", "bloom"])
def test_each_output_may_have_options_of_its_own(architecture, llama3, monkeypatch):
    model = tiny_model(architecture, len(llama3))
    text_format = get_format("spectrum", llama3)
    monkeypatch.setattr(module, "MAX_BRANCH_TOKENS", 12)
    sides, many = ["Heads", "Tails"], ["Heads", "Tails", "the edge of it"]
    own = [[sides, many, [], sides], [many, [], sides, many]]
    found = output_logprobs(model, llama3, [COIN, COIN], options=own, text_format=text_format)
    for scores, of_outputs in zip(found, own, strict=True):
        assert scores.options.shape == (4, 3)
        for output, options in enumerate(of_outputs):
            assert scores.options[output, len(options) :].isnan().all()
            if options:
                (plain,) = output_logprobs(model, llama3, [COIN], options=options, text_format=text_format)
                torch.testing.assert_close(scores.options[output, : len(options)], plain.options[output])
                torch.testing.assert_close(scores.log_probs, plain.log_probs)


def test_options_for_other_outputs_are_refused(llama3):
    with pytest.raises(UserError, match="not one for each output"):
        output_logprobs(tiny_model("llama", len(llama3)), llama3, [COIN], options=[[["Heads", "Tails"]]])
