"""Every causal architecture is scored, sampled and trained as one text at a time says, or refused in one line.

The slow tests go through all of them; with ``ARCHITECTURES_TABLE=FILE`` they write what each one can do as
Markdown, of several processes each a file of its own.
"""

import os
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import AutoPeftModelForCausalLM
from torch.nn.functional import cross_entropy

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation import respond as respond_module
from spectrum_suite.generation import sample as sample_module
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.output_logprobs import output_logprobs, tokenize_sequences
from spectrum_suite.generation.respond import Way, respond
from spectrum_suite.generation.sample import draw_tokens, sample, sample_uniforms
from spectrum_suite.layouts import Layout, proof_of
from spectrum_suite.models import load_for_scoring
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from spectrum_suite.training.trainer import SpectrumTrainer
from tests.spectrum_suite.architectures import ARCHITECTURES, NOT_MADE, tiny
from tests.train_command import COMMON

FAST = ("bart", "bloom", "gemma3_text", "gpt_neo", "gpt_oss", "lfm2", "llama", "mamba")
EXACT, LOSS = 1e-4, 1e-5  # nats; a share of the loss
PROMPTS = ["Pick", "This prompt is longer than the window that a sliding or local layer sees in these models. " * 2]
OPTIONS = [["1", "10", "100", "12", "2"], [f"{n} is it" for n in range(10, 26)]]
COIN = [{"role": role, "content": text} for role, text in (("description", "A coin."), ("output", "Heads"))]
DIE = [COIN[0], *({"role": "output", "content": str(n)} for n in (1, 2, 3, 1, 6, 5, 5, 2)), COIN[1]]
SIZE = 10  # tokens of a sample


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("chatml")


@pytest.fixture(scope="module")
def text_format(tokenizer):
    return get_format("spectrum", tokenizer)


@pytest.fixture(scope="module", autouse=True)
def table():
    """``table(architecture, {what: outcome})`` adds a line to the table that was asked for."""
    path = os.environ.get("ARCHITECTURES_TABLE")
    if path and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
        path += f".{worker}"
    lines = [["architecture", *CHECKS], ["---"] * (len(CHECKS) + 1)]

    def add(architecture, found):
        lines.append([architecture, *found.values()])
        if path:
            Path(path).write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")

    return add


def every_architecture():
    for name in ARCHITECTURES:
        marks = [] if name in FAST else [pytest.mark.slow]
        if name in NOT_MADE:
            marks.append(pytest.mark.skip(reason=NOT_MADE[name]))
        yield pytest.param(name, marks=marks)


def plain_log_probs(model, ids):
    """Of the token after each, by a pass over this text and nothing else."""
    with torch.no_grad():
        return model(torch.tensor([list(ids)])).logits[0].double().log_softmax(-1)


def plain_log_prob(model, before, ids):
    log_probs = plain_log_probs(model, [*before, *ids])
    return sum(log_probs[len(before) - 1 + place, token].item() for place, token in enumerate(ids))


def assert_close(found, expected, tolerance=EXACT):
    torch.testing.assert_close(
        torch.as_tensor(found).double(), torch.as_tensor(expected).double(), atol=tolerance, rtol=0
    )


def check_options(model, tokenizer, text_format):
    found = option_logprobs(model, tokenizer, PROMPTS, OPTIONS)
    for prompt, options, scores in zip(PROMPTS, OPTIONS, found, strict=True):
        before = tokenizer(prompt).input_ids
        ids = tokenizer(options, add_special_tokens=False).input_ids
        assert_close(scores, [plain_log_prob(model, before, option) for option in ids])
    return "equal" if proof_of(model).layout is Layout.TREE else f"equal, {proof_of(model).layout.name.lower()}"


def check_outputs(model, tokenizer, text_format):
    found = output_logprobs(model, tokenizer, [COIN, DIE], options=["Heads", "Tails"], text_format=text_format)
    options = [
        tokenizer(text_format.output(option), add_special_tokens=False).input_ids for option in ("Heads", "Tails")
    ]
    for scores, sequence in zip(found, tokenize_sequences(tokenizer, [COIN, DIE], text_format), strict=True):
        for output, (start, end) in enumerate(sequence.outputs):
            before = sequence.ids[:start]
            assert_close(scores.log_probs[output], plain_log_prob(model, before, sequence.ids[start:end]))
            assert_close(scores.options[output], [plain_log_prob(model, before, option) for option in options])
    return "equal" if proof_of(model).layout is Layout.TREE else f"equal, {proof_of(model).layout.name.lower()}"


def check_samples(model, tokenizer, text_format):
    """What the uniform numbers were used on are the probabilities of plain passes."""
    seen = {}

    def spy(logits, rows, uniforms):
        log_probs = logits.double().log_softmax(-1)[rows]
        tokens = draw_tokens(logits, rows, uniforms)
        seen.update(zip(uniforms, zip(log_probs, tokens, strict=True), strict=True))
        return tokens

    model.generation_config.eos_token_id = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_module, "draw_tokens", spy)
        sample(model, tokenizer, PROMPTS, 5, max_new_tokens=SIZE, batch_size=3, seed=0)
    for prompt in PROMPTS:
        ids = tokenizer(prompt).input_ids
        for number in range(5):
            uniforms = [u for u in sample_uniforms(0, tuple(ids), 0, number, SIZE) if u in seen]
            rows, tokens = zip(*(seen[u] for u in uniforms), strict=True)
            expected = plain_log_probs(model, [*ids, *tokens[:-1]])[len(ids) - 1 :]
            likely = expected > expected.amax(-1, keepdim=True) - 15
            assert_close(torch.stack(rows)[likely], expected[likely])
    return "equal" if proof_of(model).caches is not False else "equal, whole texts"


def check_responses(model, tokenizer, text_format):
    """The first response ends early, and leaves the batch where the model's cache lets it."""
    prompts = [[COIN[0]], [{"role": "description", "content": PROMPTS[1]}]]
    ids = [tokenizer(text_format.prompt(messages), add_special_tokens=False).input_ids for messages in prompts]
    free = [greedy_tokens(model, before, 6) for before in ids]
    model.generation_config.eos_token_id = free[0][1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(respond_module, "_TOGETHER", 2)
        found = respond(model, tokenizer, prompts, text_format=text_format, max_new_tokens=6, batch_size=2)
    ends = {free[0][1], tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(text_format.terminator)}
    for tokens, response in zip(free, found, strict=True):
        length = next((n for n, token in enumerate(tokens, 1) if token in ends), 6)
        assert response.tokens == length
        last = tokens[: length - response.ended]
        assert response.text == tokenizer.decode(last, skip_special_tokens=True).removeprefix(text_format.output_prefix)
    proof = proof_of(model)
    way = Way(proof.responses)
    leave = "" if all(proof.continues.values()) else ", none leaves"
    return "equal" + leave if way is Way.PADDED else f"equal, {way.name.lower()}{leave}"


def greedy_tokens(model, ids, count):
    """The most likely next token, again and again, each by a pass of its own."""
    tokens = []
    while len(tokens) < count:
        tokens.append(int(plain_log_probs(model, ids + tokens)[-1].argmax()))
    return tokens


def rows_of(tokenizer, text_format):
    """A few tokenized rows of two to five draws."""
    rows = [
        {
            "id": f"row{number}",
            "messages": [
                {"role": "description", "content": f"A die with {number} sides, thrown by hand {number} times."},
                *({"role": "output", "content": str(7**draw * (number + 2))} for draw in range(2 + number % 4)),
            ],
        }
        for number in range(6)
    ]
    return tokenize_rows(Dataset.from_list(rows), tokenizer, text_format, max_length=120)[0]


def training_check(**options):
    """Checks the loss of a batch that is laid out with these options of the collator, and that it has gradients."""

    def check(model, tokenizer, text_format):
        rows = list(rows_of(tokenizer, text_format))
        options_of = {"max_length": 120, "description_dropout": 0.0, **options}
        collator = SpectrumCollator.for_format(text_format, tokenizer, **options_of)
        apart = rows
        if collator.trees:
            apart = [
                row | {"contexts": [context], "outputs": [output]}
                for row in rows
                for context, output in zip(row["contexts"], row["outputs"], strict=True)
            ]
        one = SpectrumCollator.for_format(text_format, tokenizer, max_length=120, description_dropout=0.0)
        nats = []
        for sequence in map(one.sequence, apart):
            labels = torch.tensor(sequence.labels[1:])
            log_probs = plain_log_probs(model, sequence.ids)[:-1]
            nats.append(cross_entropy(log_probs, labels, ignore_index=IGNORED, reduction="none")[labels != IGNORED])
        expected = torch.cat(nats).mean().item()
        settings = TuningConfig(output_dir="unused", report_to="none", use_cpu=True, bf16=False, save_strategy="no")
        trainer = SpectrumTrainer(
            model=model, args=for_our_collator(settings), data_collator=collator,
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
        )  # fmt: skip
        model.train()
        try:
            loss = trainer.compute_loss(model, collator(rows))
            loss.backward()
        finally:
            model.eval()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        model.zero_grad()
        assert loss.item() == pytest.approx(expected, rel=LOSS)
        assert sum(gradient.abs().sum().item() for gradient in gradients) > 0
        return "equal, by mask" if trainer._packed_by_mask else "equal"

    return check


CHECKS = {
    "options": check_options,
    "outputs": check_outputs,
    "samples": check_samples,
    "responses": check_responses,
    "training": training_check(),
    "packing": training_check(packing=True),
    "branching": training_check(branching=1.0),
}


@pytest.mark.parametrize("architecture", every_architecture())
def test_equal_to_one_text_at_a_time_or_refused(architecture, tokenizer, text_format, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, wrong = {}, []
    model = tiny(architecture, len(tokenizer))
    for name, check in CHECKS.items():
        try:
            found[name] = check(model, tokenizer, text_format)
        except UserError as refusal:
            found[name] = f"refused: {refusal}"
        except Exception as error:  # all that is wrong with an architecture is told at once
            found[name] = f"WRONG: {type(error).__name__} {' '.join(str(error).split())[:200]}"
            wrong.append(f"{name}: {found[name]}")
    table(architecture, found)
    assert "\n" not in "".join(found.values())
    assert not wrong, "\n".join(wrong)


DOZEN = (
    "falcon", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "gpt_oss",
    "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("architecture", DOZEN)
def test_an_adapter_is_the_model_that_it_is_merged_into(architecture, tokenizer, train, small_suite, tmp_path):
    """What is trained, loaded with its adapter, merged by the command and merged for scoring gives the same numbers."""
    base, output = tmp_path / "base", tmp_path / "tuned"
    tiny(architecture, len(tokenizer)).save_pretrained(base)
    tokenizer.save_pretrained(base)
    command = ["--model_name_or_path", base, "--suite", small_suite, "--output_dir", output, *COMMON]
    command += ["--tasks", "coinflip", "--max_steps", "3", "--learning_rate", "1e-2", "--merge", "true"]
    code, error = train(*command)
    if code == 2:
        assert error.startswith("error: ")
        assert error.strip().count("\n") == 0
        pytest.skip(error)
    assert code == 0, error
    ids = tokenizer(PROMPTS[1]).input_ids
    adapted = plain_log_probs(AutoPeftModelForCausalLM.from_pretrained(output).eval(), ids)
    for folder in (output / "merged", output):
        assert_close(plain_log_probs(load_for_scoring(str(folder), device="cpu")[0], ids), adapted)
    assert (plain_log_probs(load_for_scoring(str(base), device="cpu")[0], ids) - adapted).abs().max() > 0.01
