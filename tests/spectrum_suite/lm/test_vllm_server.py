"""What vLLM's own server says of a model is what we say of it: of options, and of decisions by labels.

In the environment that `make test-vllm` makes; elsewhere they are skipped.
"""

from importlib.util import find_spec

import pytest
import requests
import torch

from spectrum_suite import decide
from spectrum_suite.lm.client import Endpoint
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.served import ServedLM
from spectrum_suite.models import find_model, load_for_scoring
from tests.small_tokenizers import DECIDER
from tests.tiny_models import save_qwen3_decider
from tests.vllm_server import NAME, vllm_server

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed here: 'make test-vllm'"),
]

STATE = {"ticket": "My card was charged twice for one order.", "tries": 2}
QUESTIONS = {
    "team": {
        "type": "choice",
        "instructions": "Which team should handle this ticket?",
        "criteria": {"billing": "payments and refunds", "shipping": None, "security of accounts": "access"},
    },
    "many": {"type": "choice", "instructions": "Pick one.", "criteria": {f"option {n}": None for n in range(26)}},
    "urgent": {"type": "noul", "instructions": "Is a reply due?", "criteria": {"true": "money is moving"}},
    "soon": {"type": "noul", "instructions": "Will it end soon?", "criteria": None},
    "tone": {"type": "score", "instructions": "How upset is the customer?", "criteria": ["calm", "annoyed", "furious"]},
}
PROMPTS = [
    [{"role": "description", "content": "A die is rolled again and again. " * 8}],
    [{"role": "description", "content": "A coin."}, {"role": "output", "content": "Heads"}],
]
OPTIONS = [["1", "10", "100", "12", "2"], ["Heads", "Tails", "It stands on its edge, and nobody knows why it does."]]


@pytest.fixture(scope="module")
def folder(tokenizer_of, tmp_path_factory):
    return save_qwen3_decider(tmp_path_factory.mktemp("qwen3"), tokenizer_of(DECIDER))


@pytest.fixture(scope="module")
def url(folder):
    with vllm_server(folder, "--dtype", "float32", "--kv-cache-memory-bytes", str(2**27)) as (found, _):
        yield found


def test_options_get_the_scores_of_the_model_itself(folder, url):
    files = find_model(str(folder))
    local = LocalLM(files, "spectrum", torch.device("cpu"), torch.float32)
    lm = ServedLM(files, "spectrum", Endpoint(f"{url}/v1", NAME))
    assert lm.takes_nodes()
    for mine, theirs in zip(*(one.option_logprobs(PROMPTS, OPTIONS) for one in (lm, local)), strict=True):
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("instructions", [None, "Be strict."])
def test_decisions_by_labels_are_those_of_vllm(folder, url, instructions):
    body = {"model": NAME, "state": STATE, "questions": QUESTIONS}
    body |= {} if instructions is None else {"instructions": instructions}
    response = requests.post(f"{url}/v1/systemone", json=body, timeout=300)
    assert response.status_code == 200, response.text
    theirs = response.json()
    model, tokenizer = load_for_scoring(str(folder), device="cpu", dtype="float32")
    ours = decide(
        model, tokenizer, STATE, QUESTIONS, instructions=instructions, read="labels", confidence="over_vocabulary"
    )
    assert list(ours.answers) == list(theirs["answers"])
    for name, mine in ours.answers.items():
        told = theirs["answers"][name]
        assert set(mine) == set(told)
        for key, value in mine.items():
            assert told[key] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-2)), (name, key)
        mass = theirs["diagnostics"][name]["label_mass"]
        assert ours.diagnostics[name]["label_mass"] == pytest.approx(mass, abs=1e-2)
    assert ours.input_tokens == theirs["usage"]["input_tokens"]
