"""The coverage metric as users get it: loaded by `evaluate`, offline, from the checkout or from a folder of its own."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset
from evaluate.loading import get_imports

from metrics.output_coverage import output_coverage
from metrics.output_coverage.output_coverage import OutputCoverage
from metrics.output_coverage.scoring import METRICS, score_task, summarize

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "metrics" / "output_coverage"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
NOT_NEEDED = ("scipy", "sklearn", "transformers", "gradio", "spectrum", "dataset_builder")
COLORS = {"valid_items": ["red", "blue", "green"]}

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


@pytest.fixture
def metric(tmp_path):
    return OutputCoverage(cache_dir=str(tmp_path))


def run_card_examples(folder, tmp_path, *refused):
    """Run the card's examples in a new process in ``folder``, with an empty HF_HOME, no Hub and little to import."""
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "-c", RUN_EXAMPLES, str(FOLDER / "README.md"), *NOT_NEEDED, *refused]
    return subprocess.run(command, cwd=folder, env=kept | offline, capture_output=True, text=True, check=False).stdout


def test_evaluate_load_runs_the_card_from_the_checkout(tmp_path):
    assert run_card_examples(ROOT, tmp_path) == "9 examples, 0 failed\n"


def test_the_two_files_travel_alone(tmp_path):
    published = tmp_path / "elsewhere" / "metrics" / "output_coverage"
    published.mkdir(parents=True)
    for name in ("output_coverage.py", "scoring.py"):
        shutil.copy(FOLDER / name, published)
    assert run_card_examples(published.parents[1], tmp_path, "metrics") == "9 examples, 0 failed\n"


def test_evaluate_finds_the_imports():
    imports = {(kind, name) for kind, name, *_ in get_imports(str(FOLDER / "output_coverage.py"))}
    imports |= {(kind, name) for kind, name, *_ in get_imports(str(FOLDER / "scoring.py"))}
    third_party = {name for kind, name in imports if kind == "library"} - set(sys.stdlib_module_names)
    assert third_party == {"datasets", "evaluate", "numpy"}
    assert {name for kind, name in imports if kind != "library"} == {"scoring"}
    requirements = re.findall(r"^\w+", (FOLDER / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert set(requirements) == third_party


def test_card_and_docstring_show_the_same_examples_and_citation():
    parse = doctest.DocTestParser().get_examples
    shown = [(example.source, example.want) for example in parse(README.replace("```", ""))]
    assert shown == [(example.source, example.want) for example in parse(OutputCoverage.__doc__)]
    assert output_coverage._CITATION.strip() in README


def test_card_header_is_that_of_a_metric_space():
    header = yaml.safe_load(README.split("---\n")[1])
    assert header["sdk"] == "gradio"
    assert (FOLDER / header["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(header["tags"])
    assert len(header["short_description"]) <= 60  # the Hub's limit


def test_card_lists_the_keys_that_there_are(metric):
    result = metric.compute(predictions=[["red"]], references=[COLORS])
    keys = [name for name in result if not name.endswith("_se") and name not in ("n", "n_scored")]
    table = README.split("### Output")[1].split("- **Nothing")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == keys == list(METRICS)


def test_numbers_are_those_of_the_core(metric):
    texts = [["red", "Blue", "red ", "mauve"], ["2", "4", "3"]]
    references = [COLORS | {"validator": "one_of"}, {"valid": [True, False, True], "set_size": 25}]
    result = metric.compute(predictions=texts, references=references, per_task=True)
    scores = [
        score_task(["red", "Blue", "red", "mauve"], ["red", "blue", "red", None], set_size=3),
        score_task(["2", "4", "3"], ["2", None, "3"], set_size=25),
    ]
    assert {name: result[name] for name in summarize(scores)} == summarize(scores)
    curves = result["per_task"].pop("yield_curve")
    assert result["per_task"] == {name: [task[name] for task in scores] for name in scores[0]}
    assert curves == [pytest.approx([3 / 4, 8 / 6, 7 / 4, 2]), pytest.approx([2 / 3, 4 / 3, 2])]
    assert "per_task" not in metric.compute(predictions=texts, references=references)


def test_what_failed_is_left_out_with_its_flag(metric):
    reference = {"valid": [False, True, True]}
    result = metric.compute(predictions=[[None, "a", "b"], None], references=[reference, COLORS], per_task=True)
    assert (result["valid"], result["yield"], result["n"], result["n_scored"]) == (1, 2, 2, 1)
    assert result["per_task"]["n"] == [2, 0]
    assert metric.compute(predictions=[[None]], references=[COLORS])["n_scored"] == 0
    assert np.isnan(result["reached"])  # one set is endless, and the other task was not scored


def test_rows_of_a_dataset_are_references(metric):
    row = {"id": "a", "description": "d", "validator": "one_of", "valid_items": ["Red", "Blue"], "max_new_tokens": 3}
    result = metric.compute(predictions=[["red", "RED"]], references=Dataset.from_list([row]))
    assert (result["yield"], result["reached"]) == (1, 0.5)


def test_batches_add_up(metric):
    metric.add(prediction=["red"], reference=COLORS)
    metric.add_batch(predictions=[["2", "4"]], references=[{"valid": [True, False]}])
    in_parts = metric.compute()
    assert in_parts["valid"] == 0.75
    assert in_parts["n"] == 2


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["red"], [COLORS], "prediction 0 is 'red', not a list of strings: .*predictions=\\[\\['red'"),
        ([[1, 2]], [COLORS], r"prediction 0 is \[1, 2\], not a list of strings"),
        ([["red"]], COLORS, "one entry per task: compute"),
        ([["red"]], None, "one entry per task: compute"),
        ([], [], "0 predictions and 0 references"),
        ([["red"]], [COLORS, COLORS], "1 predictions and 2 references"),
        ([["red"]], [{"validator": "prime", "valid_items": []}], "reference 0 .* with 'valid_items' or 'valid'"),
        ([["red"]], [{"valid_items": ["a"], "validator": "prime"}], "validator is 'prime'"),
        ([["red"]], [{"valid_items": [1, 2]}], "give strings, such as '1'"),
        ([["red"]], [{"valid": [True, True]}], "reference 0 has 2 flags for 1 generations"),
    ],
)
def test_mistakes_show_what_to_do(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[["red"]], references=[COLORS])["n"] == 1
