"""The published three-rule adapter as others run it: `transformers` and `torch`, and none of our code."""

# ruff: noqa: PLC0415 - a function that runs in another process imports for itself

import json
from dataclasses import replace

import pytest
import torch
from huggingface_hub import HfApi

from spectrum_suite.errors import UserError
from spectrum_suite.generation.rule_adapter import SPACES, WORDS, generate
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.publish import PushOptions, push
from spectrum_suite.hub.rule_adapter_repo import rule_adapter_publication
from spectrum_suite.hub.verify import verify
from tests.loopback_hub.hub_client import ask
from tests.small_tokenizers import LLAMA3
from tests.tiny_models import save_model

pytestmark = pytest.mark.hub

BASE, RULES = "org/base", "org/rule-adapter"
PROMPT = "Name three uses of a brick.\n"
ENDING_LENGTH, ENDING, REPETITION = 10, 15.0, -1.5


@pytest.fixture
def published(here, tokenizer_of, tmp_path):
    """The adapter and a base model, on the Hub. No token is so much likelier than others that no rule would matter."""
    save_model(tmp_path / "base", tokenizer_of(LLAMA3))
    configuration = tmp_path / "base" / "config.json"
    configuration.write_text(json.dumps(json.loads(configuration.read_text()) | {"final_logit_softcapping": 1.0}))
    api = HfApi(token=here.write_token)
    api.create_repo(BASE)
    api.upload_folder(repo_id=BASE, folder_path=tmp_path / "base")
    return push(rule_adapter_publication(RULES), PushOptions(), here.write_token)


def respond(base, rules, commit, text, options):
    """Which tokens come, and the distributions that they are drawn from, with the rules; and those without them."""
    from importlib.util import find_spec

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModelForCausalLM.from_pretrained(base)
    prompt = tokenizer(text, return_tensors="pt")
    torch.manual_seed(0)
    made = model.generate(
        **prompt, custom_generate=rules, trust_remote_code=True, tokenizer=tokenizer, revision=commit,
        do_sample=True, top_k=0, return_dict_in_generate=True, output_scores=True, **options,
    )  # fmt: skip
    with torch.inference_mode():
        plain = model(made.sequences).logits[0]
    length = prompt["input_ids"].shape[1]
    return {
        "ours": [name for name in ("spectrum_suite", "dataset_builder", "metrics", "tests") if find_spec(name)],
        "tokens": made.sequences[0, length:].tolist(),
        "with_rules": [step[0].softmax(-1).tolist() for step in made.scores],
        "without": plain[length - 1 : -1].log_softmax(-1).tolist(),
        "end": model.generation_config.eos_token_id,
    }


def rule_scores(tokenizer, used, end):
    """The summed scores of the three rules for every token of the vocabulary, by the words of the paper."""
    scores = torch.zeros(len(tokenizer))
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        spaces = len(text) > 1 and not text.strip(" ")
        scores[token] += WORDS.get(text, WORDS[SPACES] if spaces else 0.0) * (token not in tokenizer.all_special_ids)
        scores[token] += REPETITION * (token in used)
    scores[end] += ENDING * min(len(used), ENDING_LENGTH) / ENDING_LENGTH
    return scores


def test_the_published_rules_give_the_product_of_the_distributions(here, published, tokenizer_of, tmp_path):
    """p(w | x) is proportional to p_model(w | x) exp(the scores of the rules), at every step."""
    options = {"max_new_tokens": 12, "rules": {"ending_length": ENDING_LENGTH}}
    seen = ask(here, tmp_path, respond, BASE, RULES, published.commit, PROMPT, options, token="", uploads=False)
    assert seen["ours"] == []
    tokenizer = tokenizer_of(LLAMA3)
    steps = list(zip(seen["tokens"], seen["with_rules"], seen["without"], strict=True))
    for step, (token, found, plain) in enumerate(steps):
        scores = rule_scores(tokenizer, seen["tokens"][:step], seen["end"])
        expected = (torch.tensor(plain) + scores).softmax(-1)
        assert torch.allclose(torch.tensor(found), expected, atol=1e-5)
        assert expected[token] > 0
        if step:
            assert not torch.allclose(torch.tensor(plain).softmax(-1), expected, atol=1e-3)
    assert len(steps) > 2


def run_the_card(base, rules):
    from huggingface_hub import ModelCard

    code = ModelCard.load(rules).text.split("```python")[1].split("```")[0].replace("google/gemma-3-270m", base)
    names = {}
    exec(code.replace("max_new_tokens=250", "max_new_tokens=20, do_sample=False"), names)  # noqa: S102
    return names["tokens"][0].tolist()


def test_the_example_on_the_card_runs(here, published, tokenizer_of, tmp_path):
    """It follows the branch, not a commit, and gives what the function gives here."""
    from transformers import AutoModelForCausalLM

    seen = ask(here, tmp_path, run_the_card, BASE, RULES, token="", uploads=False)
    tokenizer = tokenizer_of(LLAMA3)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    prompt = tokenizer("<|user|>\nName three uses of a brick.\n<|assistant|>\n", return_tensors="pt")
    limits = {"max_new_tokens": 20, "do_sample": False}
    assert seen == generate(model, **prompt, tokenizer=tokenizer, **limits)[0].tolist()
    assert seen != model.generate(**prompt, **limits)[0].tolist()


@pytest.fixture
def in_the_environment(here, monkeypatch):
    """Processes that are started here talk to the Hub."""
    monkeypatch.setenv("HF_ENDPOINT", here.url)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")


@pytest.mark.usefixtures("in_the_environment")
def test_a_push_is_loaded_back_and_other_code_is_not_run(here, published, tmp_path):
    publication = rule_adapter_publication(RULES)
    assert verify(publication, published, here.write_token) == [
        "the rule on words: followed",
        "the rule on the ending: followed",
    ]
    other = tmp_path / "other.py"
    other.write_text("raise SystemExit('it ran')\n")
    changed = replace(publication, files=(LocalFile("custom_generate/generate.py", other), *publication.files[1:]))
    somebody_elses = push(changed, PushOptions(), here.write_token)
    with pytest.raises(UserError, match=r"custom_generate/generate.py is not the file that was published"):
        verify(publication, somebody_elses, here.write_token)
