"""A published tokenizer and TRL's `SFTTrainer` train what we train, with none of our code."""

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from dataset_builder.registry import all_tasks
from spectrum_suite.formats.tags import ALL_FORMATS, find_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.training.arguments import TuningConfig, for_our_collator
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from spectrum_suite.training.trainer import SpectrumTrainer
from tests.conftest import first_rows, sources_folders
from tests.small_tokenizers import GEMMA
from tests.tiny_models import tiny_model

N_ROWS, LONGEST = 200, 2000
SETTINGS = {"report_to": "none", "use_cpu": True, "bf16": False, "disable_tqdm": True, "save_strategy": "no"}
ARCHITECTURES = {"gemma": "gemma3", "chatml": "mistral", "llama3": "llama"}


@pytest.fixture(scope="session")
def training_rows():
    """Rows of every training task, with a description and without."""
    tasks = [spec for spec in all_tasks() if spec.kind == "icl" and spec.split == "train"]
    found = {}
    for spec in tasks:
        for row in (row for folder in sources_folders() for row in first_rows(spec, folder, count=4)):
            messages = row["messages"][: 9 + len(found) % 4]
            if len(found) % 3 == 0 and messages[0]["role"] == "description":
                messages = messages[1:]
            draws = sum(message["role"] == "output" for message in messages)
            if messages[-1]["role"] == "output" and draws > (messages[0]["role"] != "description"):
                found[row["id"]] = {"id": row["id"], "task": spec.name, "messages": messages}
    rows = [row for row in found.values() if sum(len(message["content"]) for message in row["messages"]) < LONGEST]
    chosen = {row["task"]: row for row in rows}  # one of each first
    chosen = [*chosen.values(), *(row for row in rows if row is not chosen[row["task"]])]
    return Dataset.from_list(chosen[:N_ROWS]).remove_columns("task")


def trl_trainer(tokenizer, rows, folder, architecture="llama"):
    """As docs/training.md shows it."""
    return SFTTrainer(
        model=tiny_model(architecture, len(tokenizer)),
        args=SFTConfig(str(folder), assistant_only_loss=True, max_length=None, **SETTINGS),
        train_dataset=rows,
        processing_class=tokenizer,
    )


def our_trainer(tokenizer, text_format, rows, folder, architecture="llama"):
    tokenized, _ = tokenize_rows(rows, tokenizer, text_format, max_length=10**6)
    options = {"max_length": 10**6, "permute": False, "description_dropout": 0.0}
    return SpectrumTrainer(
        model=tiny_model(architecture, len(tokenizer)),
        args=for_our_collator(TuningConfig(str(folder), **SETTINGS)),
        data_collator=SpectrumCollator.for_format(text_format, tokenizer, **options),
        train_dataset=tokenized,
        processing_class=tokenizer,
        groups=("all",),
    )


def published(tokenizer, text_format, folder):
    """The tokenizer as it lies beside a tuned model."""
    tokenizer.chat_template = text_format.chat_template()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(GEMMA, "spectrum", marks=pytest.mark.model),
        *((kind, name) for kind in ("chatml", "llama3") for name in ALL_FORMATS if name != "model_chat"),
    ],
)
def test_the_same_tokens_are_trained_at_the_same_loss(tokenizer_of, training_rows, tmp_path, kind, name):
    tokenizer = tokenizer_of(kind)
    text_format = find_format(name, tokenizer)
    theirs = trl_trainer(published(tokenizer, text_format, tmp_path), training_rows, tmp_path, ARCHITECTURES[kind])
    ours = our_trainer(tokenizer, text_format, training_rows, tmp_path, ARCHITECTURES[kind])
    after = token_encoder(tokenizer, text_format)([text_format.separator])[text_format.separator]
    assert len(theirs.train_dataset) == len(ours.train_dataset) == len(training_rows)
    same = []
    for row, their in zip(ours.train_dataset, theirs.train_dataset, strict=True):
        sequence = ours.data_collator.sequence(row)
        expected = list(zip(sequence.ids, sequence.labels, strict=True))
        found = list(zip(their["input_ids"], their["labels"], strict=True))
        expected += [(token, IGNORED) for token in after]
        if text_format.follower and found != expected:  # some tokenizers join a blank line at the end of a text
            assert joined(tokenizer, found) == joined(tokenizer, expected), row["id"]
        else:
            assert found == expected, row["id"]
            same.append((their, row))
    assert len(same) == len(training_rows) or (kind, name) == ("chatml", "colon")
    if kind == GEMMA or name != "spectrum":  # time: a large vocabulary
        same = sorted(same, key=lambda pair: len(pair[0]["input_ids"]))[:24]
    for begin in range(0, len(same), 8):
        parts = zip(*same[begin : begin + 8], strict=True)
        with torch.no_grad():
            losses = [
                trainer.compute_loss(trainer.model, trainer.data_collator(list(part)))
                for trainer, part in zip((theirs, ours), parts, strict=True)
            ]
        torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)


def joined(tokenizer, tokens):
    """The tokens before the last output, and the text of what is trained of the whole."""
    last = max(place for place, (_, label) in enumerate(tokens) if label == IGNORED)
    return tokens[: last + 1], tokenizer.decode([label for _, label in tokens if label != IGNORED])
