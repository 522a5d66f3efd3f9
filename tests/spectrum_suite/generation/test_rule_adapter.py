"""The adapter's distribution is the product of the model's and of the rules', worked out here word by word."""

import functools
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LogitsProcessorList

from spectrum_suite.generation import rule_adapter
from spectrum_suite.generation.rule_adapter import RULES, SPACES, RuleBasedAdapter, Rules, token_ids_of
from spectrum_suite.models import load_for_scoring
from tests.tiny_models import save_model, tiny_model

SUBSETS = [subset for size in range(4) for subset in itertools.combinations(RULES, size)]
PROMPTS = [
    "What should I do? <b> |",
    "We sing!",
    "I",
    "- a\n- b\n# c",
    "x  y",
    "!",
    "What",
    "Do this, should you wish to.",
]


@pytest.fixture(scope="module", params=["llama3", "chatml"])
def tokenizer(tokenizer_of, request):
    return tokenizer_of(request.param)


@functools.cache
def text_of(tokenizer, token):
    """What a token adds behind an "a"."""
    anchor = tokenizer("a", add_special_tokens=False).input_ids
    return tokenizer.decode([*anchor, token])[len(tokenizer.decode(anchor)) :]


def scores_of_rules(tokenizer, rules, response, ends, vocabulary):
    """The summed scores of a next token, one token at a time: the formula as it is written."""
    scores = torch.zeros(vocabulary, dtype=torch.float64)
    for token in range(min(vocabulary, len(tokenizer))):
        text = "" if token in tokenizer.all_special_ids else text_of(tokenizer, token)
        scores[token] += rules.words.get(text, 0.0)
        if len(text) > 1 and set(text) == {" "}:
            scores[token] += rules.words.get(SPACES, 0.0)
    for end in ends:
        scores[end] += rules.ending * min(len(response), rules.ending_length) / rules.ending_length
    for token in set(response):
        scores[token] += rules.repetition
    return scores


def product(logits, scores):
    """p_base p_rules, normalized."""
    return (logits.to(scores).log_softmax(-1) + scores.log_softmax(-1)).softmax(-1)


@pytest.mark.parametrize("left_out", SUBSETS, ids="+".join)
def test_the_distribution_is_the_product(tokenizer, left_out):
    rules = Rules(ending_length=4).without(*left_out)
    generator = torch.Generator().manual_seed(len(left_out))
    vocabulary = len(tokenizer) + 5
    for batch in (1, 3, 8):
        adapter = RuleBasedAdapter(tokenizer, rules)
        ids = torch.randint(0, len(tokenizer), (batch, 6), generator=generator)
        for _ in range(6):
            logits = torch.randn(batch, vocabulary, generator=generator) * 4
            before = logits.clone()
            found = adapter(ids, logits).softmax(-1)
            for row in range(batch):
                response = ids[row, 6:].tolist()
                scores = scores_of_rules(tokenizer, rules, response, [tokenizer.eos_token_id], vocabulary)
                torch.testing.assert_close(found[row].double(), product(logits[row], scores), atol=1e-5, rtol=1e-5)
            assert torch.equal(logits, before)
            repeated = ids[:, -1:] if len(ids) % 2 else torch.randint(0, vocabulary, (batch, 1), generator=generator)
            ids = torch.cat([ids, repeated], 1)


def test_each_rule_moves_what_it_names(tokenizer):
    logits, ids = torch.zeros(1, len(tokenizer)), torch.tensor([[5, 6]])
    (newline, *_) = token_ids_of(tokenizer, ["\n"])["\n"]
    alone = {name: Rules().without(*set(RULES) - {name}) for name in RULES}
    words = RuleBasedAdapter(tokenizer, alone["words"])(ids, logits)
    assert words[0, newline] == 1
    ending = RuleBasedAdapter(tokenizer, alone["ending"], prompt_length=0)(torch.zeros(1, 125, dtype=int), logits)
    assert ending[0, tokenizer.eos_token_id] == 7.5
    assert ending.count_nonzero() == 1
    late = RuleBasedAdapter(tokenizer, alone["ending"], prompt_length=0)(torch.zeros(1, 999, dtype=int), logits)
    assert late[0, tokenizer.eos_token_id] == 15
    repetition = RuleBasedAdapter(tokenizer, alone["repetition"], prompt_length=1)
    assert repetition(torch.tensor([[5, 6, 7, 6]]), logits).nonzero().tolist() == [[0, 6], [0, 7]]
    assert repetition(torch.tensor([[5, 6, 7, 6]]), logits).unique().tolist() == [-1.5, 0]


def test_repetition_may_count_from_the_prompt_without_its_padding(tokenizer):
    rules = Rules(repetition_in="prompt").without("ending", "words")
    adapter = RuleBasedAdapter(tokenizer, rules)
    adapter.pad_token_id = 3
    found = adapter(torch.tensor([[3, 3, 8, 9, 3], [3, 8, 8, 8, 8]]), torch.zeros(2, 12))
    assert found.nonzero().tolist() == [[0, 3], [0, 8], [0, 9], [1, 8]]


def test_a_new_prompt_one_token_longer_than_the_last_text_is_a_new_prompt(tokenizer):
    adapter = RuleBasedAdapter(tokenizer, Rules().without("ending", "words"))
    logits = torch.zeros(1, len(tokenizer))
    assert not adapter(torch.tensor([[5, 6]]), logits).any()
    assert adapter(torch.tensor([[5, 6, 7]]), logits).nonzero().tolist() == [[0, 7]]
    assert not adapter(torch.tensor([[8, 9, 10, 11]]), logits).any()
    assert adapter(torch.tensor([[8, 9, 10, 11, 5]]), logits).nonzero().tolist() == [[0, 5]]
    assert not adapter(torch.tensor([[8, 9, 10, 11]]), logits).any()


@pytest.fixture(scope="module")
def tiny(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    tokenizer.pad_token = tokenizer.eos_token
    return tiny_model("gemma3", len(tokenizer)), tokenizer


def by_hand(model, tokenizer, ids, steps, choose):
    """Next tokens of one prompt, from a whole forward pass each."""
    rules, response = Rules(), []
    for _ in range(steps):
        with torch.no_grad():
            logits = model(torch.tensor([ids + response])).logits[0, -1]
        scores = scores_of_rules(tokenizer, rules, response, [tokenizer.eos_token_id], len(logits))
        response.append(choose(product(logits, scores)))
        if response[-1] == tokenizer.eos_token_id:
            break
    return response


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_generation_in_padded_batches_is_that_of_whole_passes(tiny, batch):
    model, tokenizer = tiny
    prompts = PROMPTS[:batch]
    padded = tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=False)
    processors = LogitsProcessorList([RuleBasedAdapter(tokenizer)])
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    for _ in range(2):  # the second call begins its responses anew
        found = model.generate(**padded, logits_processor=processors, eos_token_id=tokenizer.eos_token_id, **options)
        for row, prompt in enumerate(prompts):
            ids = tokenizer(prompt, add_special_tokens=False).input_ids
            expected = by_hand(model, tokenizer, ids, 5, lambda p: int(p.argmax()))
            assert found[row, padded.input_ids.shape[1] :].tolist()[: len(expected)] == expected


def test_sampling_has_the_probabilities_of_the_product(tiny):
    model, tokenizer = tiny
    prompt = tokenizer(PROMPTS[0], return_tensors="pt", add_special_tokens=False)
    torch.manual_seed(0)
    out = model.generate(
        **prompt, logits_processor=LogitsProcessorList([RuleBasedAdapter(tokenizer)]), do_sample=True, top_k=0,
        max_new_tokens=4, output_scores=True, output_logits=True, return_dict_in_generate=True,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    response = out.sequences[0, prompt.input_ids.shape[1] :].tolist()
    for step, (scores, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
        rules = scores_of_rules(tokenizer, Rules(), response[:step], [tokenizer.eos_token_id], logits.shape[1])
        torch.testing.assert_close(scores[0].double().softmax(-1), product(logits[0], rules), atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module", params=["gemma-3-270m", "smollm2-135m"])
def embedded(request):
    model, tokenizer = load_for_scoring(f"embedded:{request.param}")
    words = token_ids_of(tokenizer, Rules().words)
    assert all(
        text_of(tokenizer, token) == word or (word == SPACES and text_of(tokenizer, token).isspace())
        for word, found in words.items()
        for token in found
    )
    return model, tokenizer, words


def scores_by_word(tokenizer, words, rules, response, vocabulary):
    """What :func:`scores_of_rules` gives, from the tokens of the words: fast enough for a large vocabulary."""
    scores = torch.zeros(vocabulary, dtype=torch.float64)
    for word, score in rules.words.items():
        scores[words[word]] += score
    scores[tokenizer.eos_token_id] += rules.ending * min(len(response), rules.ending_length) / rules.ending_length
    scores[list(set(response))] += rules.repetition
    return scores


@pytest.mark.model
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("left_out", SUBSETS, ids="+".join)
@pytest.mark.parametrize(
    "batches", [(1, 8), pytest.param((2, 3, 4, 5, 6, 7), marks=pytest.mark.slow)], ids=["some", "others"]
)
def test_the_embedded_models_in_padded_batches(embedded, batches, left_out, sampled):
    model, tokenizer, words = embedded
    rules = Rules(ending_length=4).without(*left_out)
    adapter = RuleBasedAdapter(tokenizer, rules)
    assert adapter.missing == ()
    torch.manual_seed(len(left_out))
    for batch in batches:
        padded = tokenizer(PROMPTS[-batch:], padding=True, padding_side="left", return_tensors="pt")
        out = model.generate(
            **padded, logits_processor=LogitsProcessorList([adapter]), do_sample=sampled, top_k=0, max_new_tokens=2,
            eos_token_id=tokenizer.eos_token_id, output_scores=True, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        responses = out.sequences[:, padded.input_ids.shape[1] :].tolist()
        for step, (found, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
            scores = torch.stack(
                [scores_by_word(tokenizer, words, rules, response[:step], logits.shape[1]) for response in responses]
            )
            expected = product(logits, scores.float())
            torch.testing.assert_close(found.softmax(-1), expected, atol=1e-5, rtol=1e-5)
            for row, response in enumerate(responses):
                assert sampled or response[step] == expected[row].argmax() or tokenizer.eos_token_id in response[:step]


@pytest.mark.model
def test_the_embedded_models_do_not_see_the_padding(embedded):
    model, tokenizer, words = embedded
    padded = tokenizer(PROMPTS, padding=True, padding_side="left", return_tensors="pt")
    found = model.generate(
        **padded, logits_processor=LogitsProcessorList([RuleBasedAdapter(tokenizer)]), do_sample=False, max_new_tokens=3
    )
    for row, prompt in enumerate(PROMPTS):
        ids, response = tokenizer(prompt).input_ids, found[row, padded.input_ids.shape[1] :].tolist()
        with torch.no_grad():
            logits = model(torch.tensor([ids + response[:-1]])).logits[0, len(ids) - 1 :]
        for step, token in enumerate(response):
            scores = scores_by_word(tokenizer, words, Rules(), response[:step], logits.shape[1])
            assert token == product(logits[step], scores).argmax()


def test_words_that_are_no_single_token_are_reported(tokenizer):
    adapter = RuleBasedAdapter(tokenizer, Rules(words={"extraordinarily unlikely": 1.0, "!": 2.0}))
    assert adapter.missing == ("extraordinarily unlikely",)
    changed = adapter(torch.tensor([[5]]), torch.zeros(1, len(tokenizer)))
    assert changed.max() == 2


def test_mistakes_are_named(tokenizer_of):
    with pytest.raises(ValueError, match="no rule 'endings': choose from ending, words, repetition"):
        Rules().without("endings")
    with pytest.raises(ValueError, match="choose 'response' or 'prompt'"):
        Rules(repetition_in="answer")
    with pytest.raises(ValueError, match="ending_length is 0"):
        Rules(ending_length=0)


PROGRAM = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
assert not any("spectrum_suite" in name for name in sys.modules if not name.startswith("__editable__"))
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
prompt = tokenizer("I", return_tensors="pt", add_special_tokens=False)
options = {"custom_generate": sys.argv[2], "trust_remote_code": True, "max_new_tokens": 5, "do_sample": False}
for more in ({"tokenizer": tokenizer}, {}, {"rules": {"words": {}, "ending": 0, "repetition": 0}}):
    print(*model.generate(**prompt, **options, **more)[0].tolist())
"""


def test_a_repository_that_holds_the_file_gives_any_model_the_rules(tiny, tmp_path):
    """In a process that has none of our code; the local folder stands for the repository."""
    model, tokenizer = tiny
    save_model(tmp_path / "model", tokenizer)
    (tmp_path / "rules" / "custom_generate").mkdir(parents=True)
    shutil.copy(rule_adapter.__file__, tmp_path / "rules" / "custom_generate" / "generate.py")
    command = [sys.executable, "-I", "-c", PROGRAM, str(tmp_path / "model"), str(tmp_path / "rules")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    given, found, without = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    ids = tokenizer("I", add_special_tokens=False).input_ids
    assert given == found == ids + by_hand(model, tokenizer, ids, 5, lambda p: int(p.argmax()))
    assert without == model.generate(torch.tensor([ids]), max_new_tokens=5, do_sample=False)[0].tolist()


def test_the_file_stands_alone():
    imported = [
        line for line in Path(rule_adapter.__file__).read_text().splitlines() if line.startswith(("from", "import"))
    ]
    assert not any("spectrum" in line or "dataset_builder" in line for line in imported)
