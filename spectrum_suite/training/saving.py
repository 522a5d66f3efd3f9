"""A tuned model, written whole: its weights, its tokenizer, and how to sample from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.trainer import TRAINING_ARGS_NAME

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format
from spectrum_suite.training.trainer import SpectrumTrainer


def save(trainer: SpectrumTrainer, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Write the tuned model apart, then move it into the output folder file by file."""
    output = Path(trainer.args.output_dir)
    writing = output / "model.writing"
    trainer.save_model(str(writing))
    if not trainer.args.should_save:
        return
    (writing / TRAINING_ARGS_NAME).unlink()  # a pickle; what was run stands in the report
    save_generation_config(writing, tokenizer, text_format)
    for path in writing.iterdir():
        path.replace(output / path.name)
    writing.rmdir()


@contextmanager
def explain_failed_write(folder: str) -> Iterator[None]:
    """Turn a failed write of the tuned model into a UserError; the checkpoints are still there."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(Path(folder, "model.writing"), ignore_errors=True)
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the tuned model could not be written to {folder!r} ({reason}): free some space and run the same command "
            "again, it resumes from the latest checkpoint"
        ) from error


def save_generation_config(folder: str | Path, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Sampling as the method asks: temperature 1, no top-p, no top-k, until the end of the turn."""
    ends = [tokenizer.eos_token_id]
    if text_format.ends_with_token:
        ends.append(tokenizer.convert_tokens_to_ids(text_format.terminator))
    GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(set(ends)),
    ).save_pretrained(folder)
