"""Load a model for scoring: a checkpoint, an embedded model, or an adapter merged into its base."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from xxhash import xxh3_128

from spectrum_suite.adapters import (
    check_adapted,
    check_can_be_scaled,
    merged,
    put_on,
    read_adapter_config,
    scale,
    trained_tokens,
)
from spectrum_suite.devices import best_device, device_count, has_dtype
from spectrum_suite.embedded_model import embedded_model_path, embedded_name
from spectrum_suite.errors import UserError, first_line
from spectrum_suite.fingerprints import fingerprint_of_bytes
from spectrum_suite.hub_errors import explained
from spectrum_suite.json_files import read_json
from spectrum_suite.loading import Purpose, check_causal, load_causal_lm
from spectrum_suite.probe import logits_after
from spectrum_suite.token_rows import overlay_rows

ADAPTER = "adapter_config.json"
_NEEDED = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.tiktoken"]
_TEMPLATES = "additional_chat_templates/*.jinja"
_NOT_NEEDED = ["*/*", "consolidated*"]
_WEIGHTS = ["*.safetensors*"]
_PICKLED = "*.bin"  # read where there is no safetensors file, as tensors alone and not as any object
_NOT_READ = (
    "report.json", "summary.json", "trainer_state.json", "all_results.json", "train_results.json", "calibration.json",
)  # fmt: skip
"""Results that are stored with weights: ours, `summary.json` of earlier versions, and those of `Trainer`."""
_WHOLE = 64 * 2**20  # files up to this size are hashed by SHA-256, larger ones by XXH3, which is as fast as the disk
_BLOCK = 2**23


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are.

    Attributes:
        name: The path or id that was asked for.
        folder: The files on this machine.
        revision: The commit, for a model from a Hub.
        base: The base model, for an adapter.
        adapter_scale: How much of the adapter's change is taken: 0 is the base, 1 the adapter.
    """

    name: str
    folder: Path
    revision: str | None = None
    base: ModelFiles | None = None
    adapter_scale: float = 1.0

    def fingerprint(self) -> str:
        """A hash that changes with the weights, the configuration or the tokenizer, the same on every machine.

        Every file counts, whole, that loading the model, its tokenizer or its chat templates would read; so does the
        scale of an adapter, where it is not 1.
        """
        base = self.base.fingerprint().encode() if self.base else b""
        files = (part for path in files_read(self.folder) for part in _name_and_content(path))
        scaled = [] if self.adapter_scale == 1 else [f"adapter_scale {float(self.adapter_scale)}".encode()]
        return fingerprint_of_bytes(chain([base], files, scaled))

    def describe(self) -> dict[str, Any]:
        """The same for a report: ``name``, ``revision``, ``fingerprint``, ``base`` and a scale that is not 1."""
        return {
            "name": self.name,
            "revision": self.revision,
            "fingerprint": self.fingerprint(),
            "base": self.base.describe() if self.base else None,
            **({} if self.adapter_scale == 1 else {"adapter_scale": self.adapter_scale}),
        }


def files_read(folder: Path) -> list[Path]:
    """The files of a folder that loading a model or an adapter from it may read, sorted."""
    found = {path for pattern in (*_NEEDED, _TEMPLATES) for path in folder.glob(pattern)}
    kept = {path for path in found if not path.name.endswith(_NOT_READ) and not path.name.startswith("consolidated")}
    if not any(path.suffix == ".safetensors" for path in kept):
        kept |= set(folder.glob(_PICKLED))
    return sorted(kept)


def check_model_name(name: str) -> None:
    """Refuse, at no cost, what is neither an embedded model, a folder here nor the id of a repository.

    Raises:
        UserError: It is neither of them.
    """
    if name.startswith("embedded:") or Path(name).expanduser().is_dir():
        return
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(f"model folder {name!r} not found, and it is not a Hub id: check the path") from error


def find_model(
    name: str,
    *,
    base: str | None = None,
    revision: str | None = None,
    weights: bool = True,
    adapter_scale: float = 1.0,
) -> ModelFiles:
    """The files of a model: a folder, ``embedded:gemma-3-270m``, or a Hub id (downloaded, or from the cache).

    Args:
        name: The model, or an adapter.
        base: The base model of an adapter; by default the one that its configuration names.
        revision: Branch, tag or commit of a model on a Hub.
        weights: Whether they are downloaded; tokenizer and configuration always are.
        adapter_scale: How much of an adapter's change is taken.

    Raises:
        UserError: There is no such model, its folder holds neither a model nor an adapter, or it has no such scale.
    """
    if not 0 <= adapter_scale < math.inf:
        raise UserError(f"--adapter_scale is {adapter_scale}: give 0 for the base, 1 for the adapter, or between")
    check_model_name(name)
    kind, _, rest = name.partition(":")
    folder = embedded_model_path(rest) if kind == "embedded" else Path(name).expanduser()
    commit = None
    if not folder.is_dir():
        folder = _download(name, revision, weights=weights)
        commit = folder.name
    if (folder / ADAPTER).is_file():
        if adapter_scale != 1:
            check_can_be_scaled(read_adapter_config(folder, name), name)
        return ModelFiles(name, folder, commit, _base_of(folder, name, base, weights=weights), adapter_scale)
    if not (folder / "config.json").is_file():
        raise UserError(f"folder {name!r} holds no model: it has neither a config.json nor an {ADAPTER}")
    if base:
        raise UserError(f"model {name!r} is not an adapter: leave --base out")
    _refuse_scale(name, adapter_scale)
    return ModelFiles(name, folder, commit)


def _refuse_scale(name: str, adapter_scale: float) -> None:
    if adapter_scale != 1:
        raise UserError(f"model {name!r} is not an adapter: --adapter_scale is for an adapter's folder")


def _base_of(folder: Path, name: str, base: str | None, *, weights: bool) -> ModelFiles:
    """The base of an adapter, at the revision that it was tuned on."""
    config = read_adapter_config(folder, name)
    named = config.base_model_name_or_path
    if not base and not named:
        raise UserError(f"adapter {name!r} does not name its base model: give it with --base")
    found = embedded_name(base or named) or base or named
    return find_model(found, revision=None if base else config.revision, weights=weights)


def load_for_scoring(
    model: str | ModelFiles,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    load_in_4bit: bool = False,
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """A model in eval mode and its tokenizer. Code from a Hub is never run.

    An adapter is merged into its base, so that scoring is as fast as the base's; into a quantized base it is not, since
    merging would round it.

    Args:
        model: A path, a Hub id, ``embedded:gemma-3-270m``, or the result of :func:`find_model`.
        device: By default the accelerator where there is one, else ``cpu``.
        dtype: By default bfloat16 on an accelerator that has it, and float32 elsewhere.
        revision: Branch, tag or commit of a model on a Hub.
        load_in_4bit: Load the weights as NF4 with double quantization, as in training.

    Raises:
        UserError: There is no such model, device or dtype, or the files are not those of a causal language model.
    """
    files = find_model(model, revision=revision) if isinstance(model, str) else model
    device = scoring_device(device)
    dtype = torch_dtype(dtype, device)
    purpose = Purpose.ADAPT if files.base else Purpose.SCORE
    loaded = _load_checkpoint(files.base or files, device, dtype, purpose, load_in_4bit=load_in_4bit)
    if files.base is None:
        check_causal(loaded, files.name)
    else:
        adapted = _adapted(loaded, files)
        if getattr(loaded, "is_quantized", False):
            check_adapted(adapted, name=files.name)
            loaded = adapted
        else:
            loaded = merged(adapted, name=files.name)
    return loaded.eval(), load_tokenizer(files)


def load_merged(files: ModelFiles, *, dtype: str | torch.dtype = torch.float32) -> PreTrainedModel:
    """An adapter merged into its base on the CPU, in eval mode; a base that is quantized is made whole first.

    Raises:
        UserError: The base's quantization cannot be undone, or as :func:`load_for_scoring`.
    """
    base = _load_checkpoint(files.base, torch.device("cpu"), dtype, Purpose.CHANGE, load_in_4bit=False)
    return merged(_adapted(base, files), name=files.name).eval()


def generation_config(files: ModelFiles) -> GenerationConfig:
    """How the files of a model, or those of an adapter's base, say that it generates."""
    folder = (files.base or files).folder
    try:
        return GenerationConfig.from_pretrained(folder)
    except OSError:  # there is none, as where a model is not meant to be talked to
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))


def _adapted(base: PreTrainedModel, files: ModelFiles) -> PeftModel:
    """A base with the adapter in ``files``, at its scale."""
    names = {"name": files.name, "base_name": files.base.name}
    if files.adapter_scale == 1:
        adapted = put_on(base, files.folder, **names)
        overlay_rows(adapted)
        return adapted
    expected = logits_after(base, trained_tokens(read_adapter_config(files.folder, files.name)))
    adapted = put_on(base, files.folder, **names)
    scale(adapted, files.adapter_scale, expected, name=files.name)
    return adapted


def load_tokenizer(files: ModelFiles) -> PreTrainedTokenizerBase:
    """The tokenizer beside the model; for an adapter that comes without its vocabulary, that of its base.

    Raises:
        UserError: There is none that can be read, or it lacks its vocabulary.
    """
    if files.base is None or (files.folder / "tokenizer.json").is_file():
        tokenizer = _read_tokenizer(files.folder, files.name)
        if not _covers(tokenizer, (files.base or files).folder):
            raise UserError(
                f"the tokenizer of model {files.name!r} has only {len(tokenizer)} tokens: "
                "its vocabulary (tokenizer.json, or the like) is missing; copy it from where the model is from"
            )
        return tokenizer
    of_base = load_tokenizer(files.base)
    if _vocabulary_files(of_base, files.folder):
        return _read_tokenizer(files.folder, files.name)
    return _with_settings(of_base, files.folder)


def find_vocabulary(name: str) -> list[Path]:
    """The files with the vocabulary of the tokenizer in an adapter's folder, where it has any; else those of its base.

    Raises:
        UserError: A tokenizer, or the base, is not there or cannot be read.
    """
    folder = Path(name)
    if (folder / "tokenizer.json").is_file():
        return _vocabulary_files(_read_tokenizer(folder, name), folder)
    base = find_model(name, weights=False).base
    tokenizer = load_tokenizer(base)
    return _vocabulary_files(tokenizer, folder) or _vocabulary_files(tokenizer, base.folder)


def _vocabulary_files(tokenizer: PreTrainedTokenizerBase, folder: Path) -> list[Path]:
    """The files in a folder that tokenizers of this class read their vocabulary from."""
    names = sorted(set(tokenizer.vocab_files_names.values()) - {"tokenizer_config.json"})  # which some list, too
    return [folder / name for name in names if (folder / name).is_file()]


def _read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"the tokenizer of model {name!r} cannot be loaded: {first_line(error)}") from error


def _covers(tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Whether a tokenizer has tokens for the model in a folder: without its file, some have the special ones alone."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError):  # loading the model says what is wrong
        return True
    size = getattr(config.get_text_config(), "vocab_size", None)
    return not size or len(tokenizer) > size / 2


def _with_settings(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    """A tokenizer with the chat template and the padding that a folder without a vocabulary has for it."""
    settings = folder / "tokenizer_config.json"
    found = read_json(settings, "save the tokenizer again") if settings.is_file() else {}
    template = folder / "chat_template.jinja"
    own = template.read_text(encoding="utf-8") if template.is_file() else found.get("chat_template")
    tokenizer.chat_template = own or tokenizer.chat_template
    if found.get("pad_token") in tokenizer.get_vocab():
        tokenizer.pad_token = found["pad_token"]
    return tokenizer


def torch_dtype(name: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype of that name; by default bfloat16 on an accelerator that has it, and float32 elsewhere.

    Raises:
        UserError: Models are not scored in it.
    """
    if name is None:
        return torch.bfloat16 if device.type != "cpu" and has_dtype(device, torch.bfloat16) else torch.float32
    if isinstance(name, torch.dtype):
        return name
    if name not in ("float32", "bfloat16", "float16"):
        raise UserError(f"no dtype {name!r}: choose float32, bfloat16 or float16")
    return getattr(torch, name)


def scoring_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; by default the accelerator where there is one.

    Raises:
        UserError: There is no such device here.
    """
    try:
        device = best_device() if name is None else torch.device(name)
    except RuntimeError as error:
        raise UserError(f"no device {name!r}: use cpu, cuda, cuda:1, mps or xpu") from error
    if device.type != "cpu" and (device.index or 0) >= device_count(device):
        raise UserError(f"no device {name!r} here, which has {device_count(device)} of this kind: use --device cpu")
    return device


def _load_checkpoint(
    files: ModelFiles, device: torch.device, dtype: str | torch.dtype, purpose: Purpose, *, load_in_4bit: bool
) -> PreTrainedModel:
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return load_causal_lm(
        files.folder,
        name=files.name,
        purpose=purpose,
        dtype=dtype,
        quantization=quantization if load_in_4bit else None,
        device_map={"": device},
    )


def _download(name: str, revision: str | None, *, weights: bool) -> Path:
    left_out = _NOT_NEEDED if weights else [*_NOT_NEEDED, *_WEIGHTS]
    with explained("model", name, revision, "--revision"):
        return Path(snapshot_download(name, revision=revision, allow_patterns=_NEEDED, ignore_patterns=left_out))


def _name_and_content(path: Path) -> Iterator[bytes]:
    """The name, the size and the content of a file, that of a large one as a hash."""
    size = path.stat().st_size
    yield f"{path.name} {size}".encode()
    if size <= _WHOLE:
        yield path.read_bytes()
        return
    content = xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    yield content.digest()
