"""Every metric as users get it: loaded by `evaluate`, offline, from the checkout or from a folder of its own."""

import doctest
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import evaluate
import pytest
import yaml
from evaluate.loading import get_imports

ROOT = Path(__file__).parents[2]
NOT_NEEDED = ("scipy", "sklearn", "transformers", "gradio", "spectrum_suite", "dataset_builder")
EXAMPLES = {"spectrum_alignment": 9, "output_coverage": 9, "in_context_steerability": 12}
"""Metric -> the examples on its card."""
NOT_IN_THE_MODULE = {"output_coverage": {"numpy"}}
"""What only a metric's ``scoring.py`` imports."""

RUN_EXAMPLES = """
import doctest, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2:]:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
import evaluate
text = open(sys.argv[1], encoding="utf-8").read().replace("```", "")
examples = doctest.DocTestParser().get_doctest(text, {"evaluate": evaluate}, "card", None, 0)
result = doctest.DocTestRunner().run(examples)
print(result.attempted, "examples,", result.failed, "failed")
"""


@pytest.fixture(params=EXAMPLES)
def name(request):
    return request.param


@pytest.fixture
def folder(name):
    return ROOT / "metrics" / name


@pytest.fixture
def card(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def test_every_metric_is_here():
    assert EXAMPLES.keys() == {path.parent.name for path in (ROOT / "metrics").glob("*/app.py")}


def run_card_examples(card, working_folder, tmp_path, *refused):
    """Run a card's examples in a new process in a folder, with an empty HF_HOME, no Hub and little to import."""
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "-c", RUN_EXAMPLES, str(card), *NOT_NEEDED, *refused]
    ran = subprocess.run(command, cwd=working_folder, env=kept | offline, capture_output=True, text=True, check=False)
    return ran.stdout


def test_evaluate_load_runs_the_card_from_the_checkout(name, folder, tmp_path):
    assert run_card_examples(folder / "README.md", ROOT, tmp_path) == f"{EXAMPLES[name]} examples, 0 failed\n"


def test_the_two_files_travel_alone(name, folder, tmp_path):
    published = tmp_path / "elsewhere" / "metrics" / name
    published.mkdir(parents=True)
    for file in (f"{name}.py", "scoring.py"):
        shutil.copy(folder / file, published)
    said = run_card_examples(folder / "README.md", published.parents[1], tmp_path, "metrics")
    assert said == f"{EXAMPLES[name]} examples, 0 failed\n"


def test_evaluate_finds_the_imports(name, folder):
    requirements = re.findall(r"^\w+", (folder / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert set(requirements) == {"datasets", "evaluate", "numpy"}
    needed = set()
    for file in (f"{name}.py", "scoring.py"):
        imports = {(kind, module) for kind, module, *_ in get_imports(str(folder / file))}
        needed |= {module for kind, module in imports if kind == "library"} - set(sys.stdlib_module_names)
        assert {module for kind, module in imports if kind != "library"} == (
            set() if file == "scoring.py" else {"scoring"}
        )
        if file != "scoring.py":
            assert needed == set(requirements) - NOT_IN_THE_MODULE.get(name, set())
    assert needed == set(requirements)


def test_card_and_docstring_show_the_same_examples_and_citation(name, card):
    module = importlib.import_module(f"metrics.{name}.{name}")
    (metric,) = (
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, evaluate.Metric) and found.__module__ == module.__name__
    )
    parse = doctest.DocTestParser().get_examples
    shown = [(example.source, example.want) for example in parse(card.replace("```", ""))]
    assert shown == [(example.source, example.want) for example in parse(metric.__doc__)]
    assert module._CITATION.strip() in card


def test_card_header_is_that_of_a_metric_space(folder, card):
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["sdk"] == "gradio"
    assert (folder / header["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(header["tags"])
    assert len(header["short_description"]) <= 60  # the Hub's limit
