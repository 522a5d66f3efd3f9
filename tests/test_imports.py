"""Imports point one way, as the design says: a wrong arrow fails here."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = {"train_sft", "evaluate_model", "push_to_hub", "quickstart"}
PACKAGES = ("dataset_builder", "spectrum", "metrics", "demo")

GROUND = {
    "dataset_builder.task_spec", "dataset_builder.errors", "dataset_builder.seeding", "dataset_builder.lock",
    "spectrum.devices", "spectrum.held_folder",
}  # fmt: skip
FETCHING = {"dataset_builder.download", "dataset_builder.archives", "dataset_builder.hub_files"}
READING = GROUND | {"dataset_builder.raw"}
LOADING = {"spectrum.loading", "spectrum.adapters", "spectrum.probe"}
HEADS = {"spectrum.lm_head", "spectrum.tree_attention", "spectrum.layouts"}
DATA = {"spectrum.suite", "spectrum.suite_rows", "spectrum.instruction_data"}
MARKERS = {"spectrum.training.markers"}  # a list is read, where it is generated and measured, as it was written
MAY_IMPORT = {
    "dataset_builder.task_spec": set(),
    "dataset_builder.errors": set(),
    "dataset_builder.lock": {"dataset_builder.errors"},
    "spectrum.held_folder": {"dataset_builder.errors", "dataset_builder.lock"},
    "dataset_builder.seeding": set(),
    "dataset_builder.raw": GROUND,
    "dataset_builder.sources": {*READING, "dataset_builder.sources"},
    "dataset_builder.registry": {*GROUND, "dataset_builder.sources"},
    "dataset_builder.files": {*GROUND, *FETCHING},
    "dataset_builder.sequences": GROUND,
    "dataset_builder.tables": GROUND,
    "dataset_builder.licences": GROUND,
    "dataset_builder.mixtures": {*GROUND, "dataset_builder.licences"},
    "dataset_builder.hygiene": READING,
    "dataset_builder.spectrum_suite": {
        *GROUND, "dataset_builder.registry", "dataset_builder.files", "dataset_builder.sequences",
        "dataset_builder.tables", "dataset_builder.hygiene",
    },
    "dataset_builder": {"dataset_builder"},
    "spectrum.__init__": {"spectrum.generation", "spectrum.evaluation"},
    "spectrum.devices": set(),
    "spectrum.lm_head": set(),
    "spectrum.tree_attention": {"spectrum.layouts"},  # in a function: what is proven of a model
    "spectrum.layouts": {*GROUND, "spectrum.lm_head", "spectrum.tree_attention"},
    "spectrum.suite_rows": {*GROUND, "spectrum.suite", "spectrum.formats", "metrics"},
    "spectrum.content_key": set(),
    "spectrum.json_rows": GROUND,
    "spectrum.suite": {
        *GROUND, "dataset_builder.mixtures", "dataset_builder.suite_folder", "spectrum.content_key",
    },
    "spectrum.instruction_data": {
        *GROUND, "spectrum.suite", "spectrum.formats", "spectrum.content_key", "spectrum.json_rows",
    },
    "spectrum.formats": {*GROUND, "spectrum.formats"},
    "spectrum.probe": {"spectrum.lm_head"},
    "spectrum.loading": {*GROUND, "spectrum.probe"},
    "spectrum.adapters": {*GROUND, "spectrum.loading", "spectrum.probe"},
    "spectrum.training": {*GROUND, *HEADS, *DATA, *LOADING, "spectrum.formats", "spectrum.training"},
    "spectrum.formats.show_command": {*GROUND, *DATA, "spectrum.formats", "spectrum.training"},
    "spectrum.training.markers.annotate_command": {
        *GROUND, *DATA, "dataset_builder.registry", "spectrum.formats", "spectrum.training", "spectrum.models",
        "spectrum.generation",
    },
    "spectrum.training.run": {  # the body of a script
        *GROUND, *HEADS, *DATA, *LOADING, "spectrum.formats", "spectrum.training", "spectrum.models",
        "spectrum.generation", "spectrum.evaluation", "spectrum.hub.written_card",
    },
    "spectrum.models": {*GROUND, *LOADING, "spectrum.training.embedded_model"},
    "spectrum.generation": {
        *GROUND, *HEADS, *MARKERS, "spectrum.models", "spectrum.formats", "spectrum.generation",
    },
    "spectrum.evaluation": {
        *GROUND, *DATA, *MARKERS, "spectrum.models", "spectrum.formats", "spectrum.generation", "spectrum.evaluation",
        "metrics", "dataset_builder.registry",
    },
    "spectrum.hub": {
        *GROUND, "dataset_builder.registry", "dataset_builder.suite_folder", "dataset_builder.card",
        "dataset_builder.licences", "dataset_builder.mixtures",
        "spectrum.models", "spectrum.evaluation.report", "spectrum.training.report",
        "spectrum.training.embedded_model", "spectrum.generation.rule_adapter", "spectrum.hub",
    },
    "spectrum.hub.load_back": set(),
    "metrics": {"metrics"},
    "demo": {*GROUND, "dataset_builder.sources", "spectrum.models", "spectrum.formats", "spectrum.generation", "demo"},
}  # fmt: skip
"""Module or package -> those of ours that it may import; the longest name that fits an importer counts."""

NOT_IN = {
    "dataset_builder": {"transformers", "tokenizers", "torch", "trl", "peft"},
    "metrics": {"transformers", "torch", "dataset_builder", "spectrum"},
}
"""The builder tokenizes nothing, and a metric runs without our code."""


def within(module, names):
    """The longest of ``names`` that is ``module`` or holds it."""
    return max((name for name in names if module == name or module.startswith(name + ".")), key=len, default=None)


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
    wrong |= {name for name in names if within(name, NOT_IN.get(module.split(".")[0], set()))}
    if module in SCRIPTS or module.endswith("__main__"):
        return wrong
    known = within(module, MAY_IMPORT)
    assert known, f"{module} is new: say in MAY_IMPORT what it may import"
    return wrong | {name for name in names if within(name, PACKAGES) and not within(name, MAY_IMPORT[known])}


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
        ("spectrum.formats.render", "from spectrum.training.collator import IGNORED"),
        ("spectrum.formats.render", "from ..training import collator"),
        ("spectrum.formats.render", "def f():\n    import spectrum.generation.logprobs"),
        ("spectrum.training.collator", "from spectrum.evaluation import report"),
        ("spectrum.training.collator", "from spectrum import hub"),
        ("spectrum.training.mixture", "from dataset_builder.registry import get_task"),
        ("spectrum.generation.logprobs", "from spectrum.training.collator import IGNORED"),
        ("spectrum.evaluation.alignment", "import train_sft"),
        ("quickstart", "from train_sft import main"),
        ("spectrum.evaluation.run", "from spectrum.formats.__main__ import main"),
        ("dataset_builder.sources.urn", "from dataset_builder.registry import get_task"),
        ("dataset_builder.registry", "from dataset_builder.spectrum_suite import SpectrumSuite"),
        ("dataset_builder.task_spec", "from dataset_builder.errors import UserError"),
        ("dataset_builder.build", "from spectrum.formats.render import Format"),
        ("dataset_builder.tables", "from transformers import AutoTokenizer"),
        ("dataset_builder.__main__", "import tokenizers"),
        ("metrics.spectrum_alignment.scoring", "from dataset_builder.errors import UserError"),
        ("demo.playground", "from spectrum.hub.space import carried_code"),
    ],
)
def test_a_wrong_arrow_is_found(module, line):
    assert len(wrong_arrows(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("spectrum.formats.render", "from dataset_builder.task_spec import Draw"),
        ("spectrum.training.collator", "from spectrum.formats.render import Format"),
        ("spectrum.training.collator", "from dataset_builder import seeding"),
        ("spectrum.evaluation.alignment", "from metrics.spectrum_alignment.scoring import score_items"),
        ("spectrum.hub.cards", "from dataset_builder.registry import get_task"),
        ("train_sft", "from spectrum.training.run import train"),
        ("metrics.spectrum_alignment.app", "from .scoring import score_items"),
    ],
)
def test_a_right_arrow_is_not(module, line):
    assert wrong_arrows(module, line) == set()
