"""Imports point one way: a module imports from its own layer and the layers below, and a wrong arrow fails here."""

import ast
import functools
from pathlib import Path

import pytest

from spectrum_suite.errors import EXTRAS

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = {"train_sft", "evaluate_model", "push_to_hub", "quickstart", "setup"}
PACKAGES = ("dataset_builder", "spectrum_suite", "metrics", "demo")

LAYERS = (
    {
        "spectrum_suite.errors", "spectrum_suite.seeding", "spectrum_suite.lock", "spectrum_suite.held_folder",
        "spectrum_suite.devices", "spectrum_suite.json_rows", "spectrum_suite.content_key", "spectrum_suite.parser",
        "spectrum_suite.config_file", "spectrum_suite.yaml_entries", "spectrum_suite.hub_errors",
        "spectrum_suite.fingerprints", "spectrum_suite.json_files", "spectrum_suite.markdown",
        "spectrum_suite.shipped", "spectrum_suite.systemone",
    },
    {"spectrum_suite.metrics", "metrics"},
    {"dataset_builder"},
    {"spectrum_suite.formats"},
    {
        "spectrum_suite.suite", "spectrum_suite.suite_rows", "spectrum_suite.instruction_data", "spectrum_suite.groups",
        "spectrum_suite.pinned_dataset", "spectrum_suite.row_fingerprints", "spectrum_suite.dataset_rows",
        "spectrum_suite.dataset_suite",
    },
    {
        "spectrum_suite.lm_head", "spectrum_suite.tree_attention", "spectrum_suite.layouts", "spectrum_suite.probe",
        "spectrum_suite.loading", "spectrum_suite.adapters", "spectrum_suite.embedded_model", "spectrum_suite.models",
        "spectrum_suite.live_memory", "spectrum_suite.freed_memory", "spectrum_suite.token_rows",
        "spectrum_suite.compared_passes",
    },
    {"spectrum_suite.generation"},
    {"spectrum_suite.lm"},
    {"spectrum_suite.decisions"},
    {"spectrum_suite.markers"},
    {"spectrum_suite.training"},
    {"spectrum_suite.evaluation"},
    {"spectrum_suite.hub"},
    {"spectrum_suite.__init__", "spectrum_suite.playground", "spectrum_suite.serving", "spectrum_suite.inspect_tasks"},
    {"spectrum_suite.commands", "demo"},
)  # fmt: skip
"""From the ground up: modules and packages of one layer may import one another."""

WITHIN_BUILDER = {
    "dataset_builder.task_spec": set(),
    "dataset_builder.raw": {"dataset_builder.task_spec"},
    "dataset_builder.sources": {"dataset_builder.task_spec", "dataset_builder.raw", "dataset_builder.sources.shared"},
    "dataset_builder.task_files": {
        "dataset_builder.task_spec", "dataset_builder.raw", "dataset_builder.sources.shared",
        "dataset_builder.task_files",
    },
    "dataset_builder.registry": {
        "dataset_builder.task_spec", "dataset_builder.sources", "dataset_builder.task_files",
    },
    "dataset_builder": {"dataset_builder"},
}  # fmt: skip
"""Module or package of the builder -> those of it that it may import; the longest name that fits counts."""

NOT_IN = {
    "dataset_builder": {"transformers", "tokenizers", "torch", "trl", "peft"},
    "metrics": {"transformers", "torch", "dataset_builder", "spectrum_suite"},
    "spectrum_suite.hub.clean_cache": {"dataset_builder", "spectrum_suite"},
    "spectrum_suite.evaluation": {"spectrum_suite.training"},
}
"""The builder tokenizes nothing; a metric, and what verifies a push, run without our code; training and evaluation do
not know each other."""

WITH_EXTRAS = {
    "spectrum_suite.commands.annotation", "spectrum_suite.commands.comparison", "spectrum_suite.commands.training_run",
    "spectrum_suite.commands.tuning", "spectrum_suite.evaluation.comparison", "spectrum_suite.evaluation.markers",
    "spectrum_suite.hub.cards", "spectrum_suite.hub.dataset", "spectrum_suite.hub.model",
    "spectrum_suite.hub.rule_adapter_repo", "spectrum_suite.markers", "spectrum_suite.playground.page",
    "spectrum_suite.serving.app", "spectrum_suite.training",
}  # fmt: skip
"""What is not imported without an extra: training, markers, cards of tasks, the page and the service."""


def within(module, names):
    """The longest of ``names`` that is ``module`` or holds it."""
    return max((name for name in names if module == name or module.startswith(name + ".")), key=len, default=None)


def layer(module):
    return next((height for height, names in enumerate(LAYERS) if within(module, names)), None)


def imported(source, package):
    """The full names of all that a module imports, in functions and behind TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def wrong_arrows(module, source):
    """What ``module`` imports and may not."""
    names = imported(source, module.rpartition(".")[0])
    wrong = {name for name in names if within(name, SCRIPTS) or "__main__" in name.split(".")}
    forbidden = NOT_IN.get(within(module, NOT_IN), set())
    wrong |= {name for name in names if within(name, forbidden) and not within(name, {within(module, NOT_IN)})}
    if module in SCRIPTS or module.endswith("__main__"):
        return wrong
    height = layer(module)
    assert height is not None, f"{module} is new: say in LAYERS where it lies"
    for name in names:
        if not within(name, PACKAGES):
            continue
        if within(name, {"dataset_builder"}) and within(module, WITHIN_BUILDER):
            if not within(name, WITHIN_BUILDER[within(module, WITHIN_BUILDER)]):
                wrong.add(name)
        elif layer(name) is not None and layer(name) > height:
            wrong.add(name)
    return wrong


def modules():
    for root in PACKAGES:
        for path in sorted((REPOSITORY / root).rglob("*.py")):
            if "fixtures" not in path.parts:
                yield path
    yield from (path for path in sorted(REPOSITORY.glob("*.py")))


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(REPOSITORY))) for path in modules()])
def test_arrows(path):
    module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    wrong = wrong_arrows(module, path.read_text(encoding="utf-8"))
    assert not wrong, f"{module} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("spectrum_suite.formats.render", "from spectrum_suite.training.collator import IGNORED"),
        ("spectrum_suite.formats.render", "from ..training import collator"),
        ("spectrum_suite.formats.render", "def f():\n    import spectrum_suite.generation.logprobs"),
        ("spectrum_suite.training.collator", "from spectrum_suite.evaluation import report"),
        ("spectrum_suite.training.collator", "from spectrum_suite import hub"),
        ("spectrum_suite.evaluation.alignment.score_alignment", "import train_sft"),
        ("spectrum_suite.training.trainer", "from spectrum_suite.commands.tuning import train"),
        ("spectrum_suite.evaluation.alignment", "from spectrum_suite.training.mixture import load_mixture"),
        ("spectrum_suite.markers.marked_rows", "from spectrum_suite.training.marked import MarkedView"),
        ("spectrum_suite.lm.local", "from spectrum_suite.markers.marker_list import OPEN"),
        ("quickstart", "from train_sft import main"),
        ("spectrum_suite.evaluation.run", "from spectrum_suite.training.__main__ import main"),
        ("spectrum_suite.models", "from spectrum_suite.training import collator"),
        ("dataset_builder.sources.urn", "from dataset_builder.registry import get_task"),
        ("dataset_builder.sources.urn", "from dataset_builder.sources.states import REQUEST"),
        ("dataset_builder.sources.shared.people", "from dataset_builder.sources import urn"),
        ("dataset_builder.registry", "from dataset_builder.suite_builder import SpectrumSuite"),
        ("dataset_builder.task_spec", "from dataset_builder.raw import read_text"),
        ("dataset_builder.build", "from spectrum_suite.formats.render import Format"),
        ("dataset_builder.tables", "from transformers import AutoTokenizer"),
        ("dataset_builder.__main__", "import tokenizers"),
        ("metrics.spectrum_alignment.scoring", "from spectrum_suite.errors import UserError"),
        ("spectrum_suite.hub.clean_cache.verify_model", "from spectrum_suite.errors import UserError"),
    ],
)
def test_a_wrong_arrow_is_found(module, line):
    assert len(wrong_arrows(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("spectrum_suite.formats.render", "from dataset_builder.task_spec import Draw"),
        ("dataset_builder.sources.urn", "from dataset_builder.sources.shared.synthetic import SYNTHETIC"),
        ("spectrum_suite.training.collator", "from spectrum_suite.formats.render import Format"),
        ("spectrum_suite.training.collator", "from spectrum_suite import seeding"),
        ("spectrum_suite.evaluation.report", "from spectrum_suite.metrics.spectrum_alignment import scoring"),
        ("spectrum_suite.hub.cards", "from dataset_builder.registry import get_task"),
        ("train_sft", "from spectrum_suite.commands.train import main"),
        ("metrics.spectrum_alignment.app", "from .scoring import score_items"),
    ],
)  # fmt: skip
def test_a_right_arrow_is_not(module, line):
    assert wrong_arrows(module, line) == set()


@functools.cache
def imported_at_once(module):
    """The full names of what a module imports when it is imported itself, and of the packages that they are in."""
    path = REPOSITORY.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = imported("\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)), "")
    return frozenset(names | {name.rpartition(".")[0] for name in names})


def imported_with(module):
    """The full names of all that is imported when a module is: by it, or by what it imports."""
    found, left = set(), [module]
    while left:
        new = imported_at_once(left.pop()) - found
        found |= new
        left += new
    return found


def test_what_needs_no_extra_is_imported_without_one():
    for path in sorted((REPOSITORY / "spectrum_suite").rglob("*.py")):
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        missing = {name.partition(".")[0] for name in imported_with(module)} & EXTRAS.keys()
        assert not missing or within(module, WITH_EXTRAS), f"{module} needs {', '.join(sorted(missing))}"


@pytest.mark.parametrize(
    "module", ["spectrum_suite.evaluation.markers.score_markers", "spectrum_suite.commands.tuning"]
)
def test_what_needs_an_extra_is_seen(module):
    assert "lingua.Language" in imported_with(module)
