"""The examples in the README and in docs/ work: they print what they say they print, on the embedded model."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NUMBER = r"-?\d+\.\d+"


def examples(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_an_example_imports_is_there(path):
    for node in [node for code in examples(path) for node in ast.walk(ast.parse(code))]:
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            if node.module == "spectrum_suite":
                assert {alias.name for alias in node.names} <= set(module.__all__)


def test_every_document_begins_with_a_command():
    for path in DOCUMENTS[1:]:
        assert re.match(r"# .*\n\n```\npython ", path.read_text(encoding="utf-8")), path.name


def test_the_metric_gives_what_the_readme_says():
    [code] = [code for code in examples(DOCUMENTS[0]) if "evaluate.load" in code]
    *lines, last = code.strip().splitlines()
    call, _, said = last.partition("  # ")
    printed = run("\n".join([*lines, f"print({call}, {call.replace('js_divergence', 'coverage')})"])).split()
    expected = [float(number) for number in re.findall(r"\d\.\d+", said)]
    assert [float(number[:8]) for number in re.findall(NUMBER, " ".join(printed))] == pytest.approx(expected, abs=5e-5)


def test_the_probabilities_of_answers_are_those_shown():
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    code = "\n".join(examples(ROOT / "docs" / "evaluation.md"))
    shown = re.search(r"```\n(option .*?)```", text, flags=re.DOTALL)[1] + "".join(re.findall(r"# (\[.*)", code))
    expected = [float(number) for number in re.findall(NUMBER, shown)]
    assert len(expected) == 6 * 2 + 1 + 2 * 3
    printed = [float(number) for number in re.findall(NUMBER, run(code))]
    assert printed == pytest.approx(expected, abs=5e-4)  # as far as they are rounded
