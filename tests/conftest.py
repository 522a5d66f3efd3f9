"""Tokenizers of the three families, small enough to train here, with models, and rows of every task."""

import functools
import os
from copy import copy
from pathlib import Path

import datasets
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dataset_builder.build import BuildOptions, build
from dataset_builder.files import find_files
from dataset_builder.registry import all_tasks
from dataset_builder.suite_builder import SpectrumSuite
from spectrum_suite.embedded_model import embedded_model_path
from tests.loopback_hub.hub_server import Hub
from tests.tiny_models import save_llama
from tests.train_command import run_train

REPOSITORY = Path(__file__).parents[1]
FIXTURES = REPOSITORY / "dataset_builder" / "fixtures"

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
GEMMA, CHATML, LLAMA3, MISTRAL, QWEN, PLAIN = "gemma", "chatml", "llama3", "mistral", "qwen", "plain"


@pytest.fixture(autouse=True, scope="session")
def datasets_cache(tmp_path_factory):
    """A cache of this session's own: `datasets` takes a local folder for unchanged while its README is the same."""
    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets-cache")
    yield
    datasets.config.HF_DATASETS_CACHE = kept


def family(name):
    return pytest.param(name, marks=pytest.mark.model) if name == GEMMA else name


def pytest_generate_tests(metafunc):
    """A test that asks for ``family`` runs with each of the three."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [family(name) for name in (GEMMA, CHATML, LLAMA3)])


def training_text():
    """The repository's own prose and fixtures, in which lines, paragraphs and sentences end in many ways, in pieces."""
    endings = ("*.json", "*.jsonl", "*.csv")
    files = [path for ending in endings for path in FIXTURES.rglob(ending)]
    files += (REPOSITORY / "dataset_builder").rglob("*.py")
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in sorted(files)]
    prose = [f"{line.strip()}.\n\n" for text in texts for line in text.splitlines() if line.strip()]
    whole = "".join([*texts, *prose, "one\n\n" * 50, "Output: 1\n\nOutput: Heads\n\n" * 50])
    return [whole[start : start + 1000] for start in range(0, len(whole), 1000)]


def byte_level(words, digits=None):
    """A splitter by a regular expression in front of byte-level BPE."""
    split = [pre_tokenizers.Split(Regex(words), "isolated")] if words else []
    return pre_tokenizers.Sequence(
        [*split, *(digits or []), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not words)]
    )


def trained_tokenizer(splitter, special, *, end, ignore_merges=False, size=1200, **named):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(training_text(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, **named)


def llama3_tokenizer():
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = trained_tokenizer(
        byte_level(LLAMA3_WORDS), special, ignore_merges=True, bos_token=special[0], end=special[1]
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A", pair=f"{special[0]} $A {special[0]}:1 $B:1", special_tokens=[(special[0], 0)]
    )
    return tokenizer


def chatml_tokenizer(splitter):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return trained_tokenizer(splitter, special, end=special[2], pad_token=special[0])


def mistral_tokenizer():
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    return trained_tokenizer(
        byte_level(LLAMA3_WORDS), special, bos_token=special[1], unk_token=special[0], end=special[2]
    )


MAKERS = {
    GEMMA: lambda: AutoTokenizer.from_pretrained(embedded_model_path("gemma-3-270m")),
    CHATML: lambda: chatml_tokenizer(byte_level("", [pre_tokenizers.Digits(individual_digits=True)])),
    LLAMA3: llama3_tokenizer,
    MISTRAL: mistral_tokenizer,
    QWEN: lambda: chatml_tokenizer(byte_level(QWEN_WORDS)),
    PLAIN: lambda: trained_tokenizer(byte_level(""), ["<|endoftext|>"], end="<|endoftext|>"),
}


@pytest.fixture(scope="session")
def tokenizer_of():
    """``tokenizer_of(family)``: gemma (the real one), chatml (SmolLM2's rules), llama3, mistral, qwen or plain.

    Each caller gets one of its own, whose chat template it may set.
    """
    made = {}

    def get(name):
        if name not in made:
            made[name] = MAKERS[name]()
        return copy(made[name])

    return get


@pytest.fixture
def tokenizer(tokenizer_of, family):
    return tokenizer_of(family)


def sources_folders():
    """The fixtures, and the real files where SPECTRUM_SOURCES names their folder."""
    real = os.environ.get("SPECTRUM_SOURCES")
    return [FIXTURES, *([Path(real)] if real else [])]


@pytest.fixture
def hub():
    """A Hub on this machine, empty; ``Hub(part_size=...)`` makes one that takes files in parts."""
    with Hub() as started:
        yield started


@pytest.fixture(scope="session")
def rows_of_every_task():
    """{task with messages: its first rows}, from the fixtures and, where there are any, the real files."""
    return {
        spec.name: [row for folder in sources_folders() for row in first_rows(spec, folder)]
        for spec in all_tasks()
        if spec.kind != "coverage"
    }


@pytest.fixture(scope="session")
def coverage_rows():
    """{coverage task: its row}, from the fixtures."""
    return {spec.name: first_rows(spec, FIXTURES)[0] for spec in all_tasks() if spec.kind == "coverage"}


def first_rows(spec, folder, count=1):
    """The first rows of a task; none where the folder lacks its files."""
    files = find_files(spec, folder, allow_missing=True).found
    if spec.read is not None and not files:
        return []
    builder = SpectrumSuite(config_name=spec.name, seed=42, max_rows=count, raw_files=files)
    return list(builder.as_streaming_dataset(split=spec.split))


@pytest.fixture(scope="session")
def small_suite(tmp_path_factory):
    """A built suite of two training tasks and a held-out one, 12 rows each."""
    folder = tmp_path_factory.mktemp("suites") / "small-suite"
    build(["coinflip", "described_shares", "dist_urn"], BuildOptions(folder, max_rows=12))
    return folder


@pytest.fixture(scope="session")
def model_folder(tokenizer_of, tmp_path_factory):
    """``model_folder(family)``: a tiny random model with that tokenizer."""
    return functools.cache(lambda family: save_llama(tmp_path_factory.mktemp(family), tokenizer_of(family)))


@pytest.fixture
def train(monkeypatch, capsys):
    """``train(*command)`` runs `train_sft.py` in this process, and returns (exit code, stderr)."""
    return lambda *command: run_train(monkeypatch, capsys, command)
