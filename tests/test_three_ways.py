"""One model measured by three ways, as docs/evaluation.md shows it: by a model that can write a distribution."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM

from spectrum_suite.commands import evaluate
from spectrum_suite.evaluation.alignment.verbalized import REQUEST
from spectrum_suite.evaluation.alignment.written_json import options_as_json
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.formats.model_chat import SYSTEM
from spectrum_suite.training.collator import IGNORED
from tests.documents import commands, read
from tests.tiny_models import QWEN3_CHAT, item, save_suite

BELIEFS = {"dist_urn": {"A": 0.5, "B": 0.3, "C": 0.2}, "dist_coinflip": {"Heads": 0.75, "Tails": 0.25}}
"""What the model believes, and says."""
WEIGHT = 3
"""How often the JSON is trained on for each draw."""


def chat(tokenizer, system, asked, answer):
    """(token ids, labels): the answer alone is trained on."""
    messages = [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": asked}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    begin, end = (tokenizer(text, add_special_tokens=False).input_ids for text in (prompt, f"{answer}<|im_end|>"))
    return torch.tensor(begin + end), torch.tensor([IGNORED] * len(begin) + end)


def lessons(tokenizer):
    """What the model is taught of each task: its draws with the right weights, and the distribution on request."""
    for task, shares in BELIEFS.items():
        asked = f"A draw.\n\n{task}: which?"
        for option, share in shares.items():
            yield *chat(tokenizer, SYSTEM, asked, option), share
        request = REQUEST.format(options=options_as_json(list(shares)))
        yield *chat(tokenizer, None, f"{asked}\n\n{request}", json.dumps(shares)), WEIGHT / len(BELIEFS)


@pytest.fixture(scope="module")
def model(tokenizer_of, tmp_path_factory):
    """A small Llama that was taught to."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = QWEN3_CHAT
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=1024, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    texts, outputs, weights = zip(*lessons(tokenizer), strict=True)
    ids, weights = pad_sequence(texts, batch_first=True), torch.tensor(weights)
    labels = pad_sequence(outputs, batch_first=True, padding_value=IGNORED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        logits = model(ids).logits[:, :-1]
        losses = cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")
        (losses.sum(1) @ weights / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """What is true, which the model does not believe: all options are as likely."""
    items = {
        task: [item(f"{task}/{n}", f"{task}: which?", list(shares), [1 / len(shares)] * len(shares)) for n in range(4)]
        for task, shares in BELIEFS.items()
    }
    return save_suite(tmp_path_factory.mktemp("suite"), **items)


def test_one_model_is_compared_by_three_ways(model, suite, tmp_path, monkeypatch):
    """The commands of the document, with another model and suite."""
    shown = [line for line in commands(read(Path("docs/evaluation.md"))) if "outputs/evaluation/" in line]
    exact = next(number for number, line in enumerate(shown) if line.endswith("--output outputs/evaluation/exact"))
    monkeypatch.chdir(tmp_path)
    reports = []
    for line in shown[exact : exact + 3]:
        words = line.split()[2:]
        words[words.index("--model") + 1], words[words.index("--suite") + 1] = str(model), str(suite)
        evaluate.main([*words, "--device", "cpu"])
        reports.append(read_report(words[words.index("--output") + 1]))
    assert [report["settings"]["estimate"] for report in reports] == ["logprobs", "samples", "verbalized"]
    assert [report["settings"]["format"] for report in reports] == ["model_chat"] * 3
    held = []
    for task, shares in BELIEFS.items():
        by_logprobs, by_samples, written = (report["alignment"][task]["items"] for report in reports)
        for one, drawn, said in zip(by_logprobs, by_samples, written, strict=True):
            assert said["probabilities"] == pytest.approx(list(shares.values()))
            assert said["drawn"]["sum"] == pytest.approx(1)
            assert one["probabilities"] == pytest.approx(list(shares.values()), abs=0.1)
            low, high = drawn["drawn"]["ci95"]["js_divergence"]
            held.append(low <= one["scores"]["js_divergence"] <= high)
        for report in reports[1:]:
            assert report["comparison"]["alignment"][task]["js_divergence"]["n"] == 4
    assert sum(held) >= 6  # of 8 intervals that hold in 95%: fewer hold once in 170 times
