"""System One answers of tiny models, against scores of options and a softmax over labels by hand."""

import math
from copy import deepcopy

import pytest
import torch
from tokenizers import normalizers

from spectrum_suite import decide, option_logprobs, option_probabilities
from spectrum_suite.decisions.prompts import option_messages
from spectrum_suite.errors import UserError
from spectrum_suite.systemone import read_questions
from tests.tiny_models import QWEN3_CHAT, tiny_model

STATE = {"ticket": "My card was charged twice for one order.", "tries": 2}
TEAM = {
    "type": "choice",
    "instructions": "Which team should handle this ticket?",
    "criteria": {"billing": "payments and refunds", "shipping": None, "security of accounts": "access"},
}
URGENT = {"type": "noul", "instructions": "Is a reply due within the hour?", "criteria": {"true": "money is moving"}}
TONE = {"type": "score", "instructions": "How upset is the customer?", "criteria": ["calm", "annoyed", "very annoyed"]}
QUESTIONS = {"team": TEAM, "urgent": URGENT, "tone": TONE}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    tokenizer = deepcopy(tokenizer_of("qwen"))
    tokenizer.add_tokens(["yes", "no"])  # in a vocabulary of 1,200 they are several tokens
    tokenizer.chat_template = QWEN3_CHAT
    return tokenizer


@pytest.fixture(scope="module")
def model(tokenizer):
    model = tiny_model("llama", len(tokenizer))
    model.config.max_position_embeddings = 4000
    return model


def question(spec, name="q"):
    return read_questions({name: spec})[0]


def by_hand(model, tokenizer, spec):
    """The distribution over whole names in the order given, and their mass, from the public functions."""
    asked = question(spec)
    prompt = option_messages(
        '{"ticket": "My card was charged twice for one order.", "tries": 2}', asked, (0, 1, 2)[: len(asked.options)]
    )
    (probabilities,) = option_probabilities(model, tokenizer, [prompt], [asked.names])
    return (probabilities / probabilities.sum()).tolist(), probabilities.sum().item()


@pytest.mark.parametrize("name", QUESTIONS)
def test_whole_names_have_the_probabilities_of_their_texts(model, tokenizer, name):
    found = decide(model, tokenizer, STATE, QUESTIONS)
    expected, mass = by_hand(model, tokenizer, QUESTIONS[name])
    answer = found.answers[name]
    shares = [answer["noul"], 1 - answer["noul"]] if name == "urgent" else list(answer["probabilities"].values())
    assert shares == pytest.approx(expected, abs=1e-6)
    assert found.diagnostics[name]["label_mass"] == pytest.approx(mass, abs=1e-6)


def test_option_logprobs_gives_the_same(model, tokenizer):
    """No name begins another, so a softmax over log-probabilities is all there is to it."""
    found = decide(model, tokenizer, "Some text.", {"team": TEAM}).answers["team"]["probabilities"]
    prompt = option_messages("Some text.", question(TEAM), (0, 1, 2))
    (log_probs,) = option_logprobs(model, tokenizer, [prompt], [list(TEAM["criteria"])])
    assert list(found.values()) == pytest.approx(log_probs.softmax(0).tolist(), abs=1e-6)


def test_the_prompt_in_words(tokenizer):
    messages = option_messages("A state.", question(TEAM), (2, 0, 1), "Be brief.")
    assert messages == [
        {"role": "description", "content": "Be brief."},
        {
            "role": "input",
            "content": "A state.\n\nWhich team should handle this ticket?\n- security of accounts: access\n"
            "- billing: payments and refunds\n- shipping\nAnswer with one of these options and nothing else.",
        },
    ]


def test_there_may_be_more_options_than_letters(model, tokenizer):
    names = [f"option number {n}" for n in range(300)]
    spec = {"type": "choice", "instructions": "Which?", "criteria": dict.fromkeys(names)}
    answer = decide(model, tokenizer, "", {"q": spec}).answers["q"]
    assert list(answer["probabilities"]) == names
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    with pytest.raises(UserError, match="has 300 options, and there are 26 labels"):
        decide(model, tokenizer, "", {"q": spec}, read="labels")


VLLM_PROMPTS = {
    "team": "Question: Which team should handle this ticket?\nA: billing - payments and refunds\nB: shipping\n"
    "C: security of accounts - access\nAnswer with the letter of one option only.",
    "urgent": "Question: Is a reply due within the hour?\nyes: money is moving\nno\nAnswer with yes or no only.",
    "tone": "Question: How upset is the customer?\n0: calm\n1: annoyed\n2: very annoyed\n"
    "Answer with the number of one level only.",
}


@pytest.mark.parametrize(("name", "labels"), [("team", "ABC"), ("urgent", ("yes", "no")), ("tone", "012")])
def test_labels_are_a_softmax_over_single_tokens(model, tokenizer, name, labels):
    found = decide(model, tokenizer, STATE, QUESTIONS, read="labels", instructions="Be brief.")
    text = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
        '{"ticket": "My card was charged twice for one order.", "tries": 2}\n\n'
        f"{VLLM_PROMPTS[name]}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    ids = tokenizer(text, add_special_tokens=False).input_ids
    with torch.inference_mode():
        log_probs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    of_labels = log_probs[tokenizer.convert_tokens_to_ids(list(labels))]
    answer = found.answers[name]
    shares = [answer["noul"], 1 - answer["noul"]] if name == "urgent" else list(answer["probabilities"].values())
    assert shares == pytest.approx(of_labels.softmax(0).tolist(), abs=1e-6)
    assert found.diagnostics[name]["label_mass"] == pytest.approx(of_labels.exp().sum().item(), abs=1e-6)


def inclined(model, token):
    """A model that says a token above all others, which it finds equally likely."""
    fixed = deepcopy(model)
    fixed.lm_head = WithBias(fixed.lm_head, token)
    return fixed


class WithBias(torch.nn.Linear):
    """A head that knows nothing but its bias."""

    def __init__(self, head, token):
        super().__init__(head.in_features, head.out_features)
        with torch.no_grad():
            self.weight.zero_()
            self.bias.zero_()
            self.bias[token] = 5.0


@pytest.mark.parametrize("read", ["options", "labels"])
def test_it_is_told_whether_the_likeliest_token_begins_an_option(model, tokenizer, read):
    labels = {"team": "ABC", "urgent": ("yes", "no"), "tone": "012"}
    for name, spec in QUESTIONS.items():
        asked = question(spec)
        firsts = {tokenizer(each, add_special_tokens=False).input_ids[0] for each in asked.names}
        if read == "labels":
            firsts = set(tokenizer.convert_tokens_to_ids(list(labels[name])))
        for token in (*firsts, next(token for token in range(300, 1000) if token not in firsts)):
            found = decide(inclined(model, token), tokenizer, STATE, {"q": spec}, read=read, orders=2)
            assert found.diagnostics["q"]["argmax_is_label"] is (token in firsts)


def test_input_tokens_are_those_of_the_prompts(model, tokenizer):
    prompts = [
        f"<|im_start|>user\nS\n\n{VLLM_PROMPTS[name]}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        for name in QUESTIONS
    ]
    expected = sum(len(tokenizer(prompt, add_special_tokens=False).input_ids) for prompt in prompts)
    assert decide(model, tokenizer, "S", QUESTIONS, read="labels").input_tokens == expected


def test_a_control_token_in_a_state_is_text(model, tokenizer):
    spelled = decide(model, tokenizer, "<|im_end|> x", {"q": URGENT}, read="labels")
    as_token = len(tokenizer("<|im_end|> x", add_special_tokens=False).input_ids)
    plain = decide(model, tokenizer, "x", {"q": URGENT}, read="labels")
    assert spelled.input_tokens - plain.input_tokens > as_token


@pytest.mark.parametrize("read", ["options", "labels"])
def test_orders_are_averaged_and_flips_counted(model, tokenizer, read):
    """Of two options there are two orders, each of which can be asked for by itself."""
    given = {"type": "choice", "instructions": "Which?", "criteria": {"red": None, "blue": "as the sky"}}
    turned = given | {"criteria": dict(reversed(given["criteria"].items()))}
    both = decide(model, tokenizer, "S", {"q": given}, orders=5, read=read)
    single = [
        decide(model, tokenizer, "S", {"q": spec}, read=read).answers["q"]["probabilities"] for spec in (given, turned)
    ]
    mean = {name: (single[0][name] + single[1][name]) / 2 for name in given["criteria"]}
    assert both.answers["q"]["probabilities"] == pytest.approx(mean, abs=1e-6)
    modes = [max(shares, key=shares.get) for shares in single]
    assert both.diagnostics["q"]["orders"] == 2
    assert both.diagnostics["q"]["flip_rate"] == float(modes[0] != modes[1])


def test_levels_are_listed_upwards_and_downwards_only(model, tokenizer):
    found = decide(model, tokenizer, "S", QUESTIONS, orders=4)
    assert {name: each["orders"] for name, each in found.diagnostics.items()} == {"team": 4, "urgent": 2, "tone": 2}


def test_letters_stay_in_place_when_options_move(model, tokenizer):
    """A model that always says A chooses what stands first."""
    fixed = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        fixed.lm_head.weight.zero_()
        states = fixed.model.norm.weight  # every state is made the same
        states.zero_()
    hand = decide(fixed, tokenizer, "S", {"q": TEAM}, read="labels", orders=6)
    assert hand.answers["q"]["probabilities"] == pytest.approx(dict.fromkeys(TEAM["criteria"], 1 / 3))
    assert hand.diagnostics["q"]["label_mass"] == pytest.approx(3 / fixed.config.vocab_size)


def test_confidence_over_the_vocabulary_is_vllms(model, tokenizer):
    found = decide(model, tokenizer, STATE, QUESTIONS, read="labels", confidence="over_vocabulary")
    for name, answer in found.answers.items():
        expected = max(answer["probabilities"].values()) * found.diagnostics[name]["label_mass"]
        assert answer["confidence"] == pytest.approx(expected)
    assert list(found.answers["urgent"]["probabilities"]) == ["yes", "no"]


def test_questions_about_a_long_state_run_it_once(model, tokenizer):
    state = " ".join(f"line {n} of a long state" for n in range(150))
    tokens = len(tokenizer(state, add_special_tokens=False).input_ids)
    assert tokens > 600
    many = {f"q{n}": TONE | {"instructions": f"How is part {n}?"} for n in range(10)}
    decide(model, tokenizer, state, many)  # the layout is verified on the model once, for texts of this length
    ran = []
    handle = model.model.embed_tokens.register_forward_pre_hook(lambda _, given: ran.append(given[0].numel()))
    try:
        together = decide(model, tokenizer, state, many)
    finally:
        handle.remove()
    assert tokens < sum(ran) < 2 * tokens
    alone = decide(model, tokenizer, state, {"q3": many["q3"]})
    assert together.answers["q3"]["probabilities"] == pytest.approx(alone.answers["q3"]["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"read": "words"}, "no read 'words': choose from options, labels"),
        ({"confidence": "sure"}, "no confidence 'sure'"),
        ({"orders": 0}, "orders is 0"),
        ({"state": float("nan")}, "the state is neither a string nor JSON"),
        ({"state": "\ud800"}, "half of a surrogate pair"),
        ({"questions": {}}, "at least one question"),
        ({"questions": {"q": TEAM | {"criteria": {"a": None, "b": 1}}}}, "what option 'b' means is 1: give a string"),
        ({"state": "word " * 5000}, "more than the 4000 that the model was made for"),
    ],
)  # fmt: skip
def test_mistakes_are_named(model, tokenizer, arguments, message):
    given = {"state": "S", "questions": {"q": TEAM}} | arguments
    with pytest.raises(UserError, match=message):
        decide(model, tokenizer, given.pop("state"), given.pop("questions"), **given)


def test_options_of_the_same_tokens_are_refused(model, tokenizer_of):
    """What a tokenizer cannot tell apart gets no probability of its own."""
    tokenizer = deepcopy(tokenizer_of("plain"))
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    plain = tiny_model("llama", len(tokenizer))
    spec = {"type": "choice", "instructions": "which?", "criteria": {"a": None, "A": None}}
    with pytest.raises(UserError, match="question 'q' has two options of the same tokens"):
        decide(plain, tokenizer, "s", {"q": spec})


def test_a_label_of_several_tokens_is_refused(model, tokenizer_of):
    tokenizer = tokenizer_of("qwen")
    tokenizer.chat_template = QWEN3_CHAT
    with pytest.raises(UserError, match="label 'yes' is not one token"):
        decide(model, tokenizer, "S", {"q": URGENT}, read="labels")


def test_a_model_without_numbers_is_refused(tokenizer):
    broken = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        broken.lm_head.weight.fill_(math.nan)
    with pytest.raises(UserError, match="not finite"):
        decide(broken, tokenizer, "S", {"q": TEAM})
