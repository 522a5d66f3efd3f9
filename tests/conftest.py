"""Tokenizers and models of the families, a Hub on this machine, and rows of every task."""

import functools
import gc
import os
from copy import copy
from pathlib import Path

import datasets
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dataset_builder.build import BuildOptions, build
from dataset_builder.files import find_files
from dataset_builder.registry import all_tasks
from dataset_builder.suite_builder import SpectrumSuite
from spectrum_suite.evaluation import figures, show_report
from tests.loopback_hub.hub_server import Hub
from tests.small_tokenizers import CHATML, GEMMA, LLAMA3, MAKERS
from tests.tiny_models import save_llama
from tests.train_command import run_train

REPOSITORY = Path(__file__).parents[1]
FIXTURES = REPOSITORY / "dataset_builder" / "fixtures"


@pytest.fixture(autouse=True, scope="session")
def datasets_cache(tmp_path_factory):
    """A cache of this session's own: `datasets` takes a local folder for unchanged while its README is the same."""
    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets-cache")
    yield
    datasets.config.HF_DATASETS_CACHE = kept


@pytest.fixture(autouse=True, scope="session")
def quick_figures():
    """Three kinds of each figure are most of what a small evaluation takes: here they are drawn once, small."""

    def save_small(figure, folder, name):
        figure.set_layout_engine("none")
        figure.set_dpi(20)
        paths = [folder / each for each in figures.figure_names(name)]
        for path in paths:
            path.touch()
        FigureCanvasAgg(figure).print_png(paths[0])
        return paths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show_report, "save_figure", save_small)
        yield


@pytest.fixture
def whole_figures(monkeypatch):
    """In this test figures are saved as they are elsewhere."""
    monkeypatch.setattr(show_report, "save_figure", figures.save_figure)


def family(name):
    return pytest.param(name, marks=pytest.mark.model) if name == GEMMA else name


def pytest_collection_finish():
    """What was imported stays: the collector need not look through it again, as each of hundreds of runs asks it to."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc):
    """A test that asks for ``family`` runs with each of the three."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [family(name) for name in (GEMMA, CHATML, LLAMA3)])


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
