"""Checkpoints that vLLM loads: real weights, adapters, what a report says of them, and what it cannot load.

In the environment that `make test-vllm` makes; elsewhere they are skipped.
"""

import gc
from importlib.util import find_spec

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from spectrum_suite.commands import evaluate
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.vllm import VllmLM
from spectrum_suite.models import find_model
from tests.spectrum_suite.lm.vllm_settings import CPU, OPTIONS, PROMPTS, SIDES, SMALL, WORDS, assert_close_options
from tests.tiny_models import save_qwen3, save_suite, shaken

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed here: 'make test-vllm'"),
]


@pytest.fixture(autouse=True)
def one_at_a_time():
    """An engine in this process takes what the next one has set up with it, when it is collected."""
    gc.collect()
    yield
    gc.collect()


@pytest.fixture(scope="module")
def files(tokenizer_of, tmp_path_factory):
    return find_model(str(save_qwen3(tmp_path_factory.mktemp("qwen3"), tokenizer_of("qwen"))))


@pytest.mark.model
def test_the_embedded_model_gives_its_own_numbers():
    files = find_model("embedded:gemma-3-270m")
    asked = PROMPTS[:2], [OPTIONS[0], SIDES]
    exact = LocalLM(files, "colon", CPU, torch.float32).option_logprobs(*asked)
    assert_close_options(VllmLM(files, "colon", CPU, torch.float32, SMALL).option_logprobs(*asked), exact, 1e-4)


@pytest.mark.model
def test_in_bfloat16_the_embedded_model_is_rounded_no_more_than_here():
    files = find_model("embedded:gemma-3-270m")
    asked = PROMPTS[:2], [OPTIONS[0], SIDES]

    def log_probs(engine, dtype, *more):
        lm = engine(files, "colon", CPU, dtype, *more)
        return torch.cat([scores.log_probs for scores in lm.option_logprobs(*asked)])

    exact, here = (log_probs(LocalLM, dtype) for dtype in (torch.float32, torch.bfloat16))
    found = log_probs(VllmLM, torch.bfloat16, SMALL)
    assert (found - exact).abs().max() < max(1e-2, 2 * (here - exact).abs().max().item())


def test_an_adapter_is_merged_at_its_scale(files, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(files.folder)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    shaken(adapted).save_pretrained(tmp_path)
    adapter = find_model(str(tmp_path), base=str(files.folder), adapter_scale=0.5)
    local = LocalLM(adapter, "spectrum", CPU, torch.float32).option_logprobs(PROMPTS, OPTIONS)
    lm = VllmLM(adapter, "spectrum", CPU, torch.float32, SMALL)
    assert_close_options(lm.option_logprobs(PROMPTS, OPTIONS), local, 1e-4)


def test_a_report_says_what_ran_the_model(files, tmp_path):
    fixed = ["--model", str(files.folder), "--suite", str(save_suite(tmp_path / "suite")), "--format", "spectrum"]
    by = {"local": [], "vllm": ["--engine", "vllm", "--engine_options", *WORDS]}
    for engine, words in by.items():
        evaluate.run(evaluate.read([*fixed, *words, "--generations", "3", "--output", str(tmp_path / engine)]))
    local, report = (read_report(tmp_path / engine) for engine in by)
    assert report["failed"] == []
    settings = report["settings"]
    assert (settings["engine"]["name"], settings["engine"]["options"], settings["endpoint"]) == ("vllm", SMALL, None)
    assert f"by vLLM {settings['engine']['version']}" in (tmp_path / "vllm" / "report.md").read_text()
    for mine, theirs in zip(*(one["alignment"]["colors"]["items"] for one in (report, local)), strict=True):
        assert mine["log_probs"] == pytest.approx(theirs["log_probs"], abs=1e-4)
    losses = [one["steerability"]["draws"]["summary"]["loss"] for one in (report, local)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert report["model"] == local["model"]


def test_what_vllm_cannot_load_is_one_line(files):
    lm = VllmLM(files, "spectrum", CPU, torch.float32, SMALL | {"no_such_argument": 3})
    with pytest.raises(UserError, match=f"vLLM cannot load model {str(files.folder)!r}: [^\n]*no_such_argument[^\n]*$"):
        lm.load()
