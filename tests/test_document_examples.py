"""What the documents show works: commands are accepted, and Python prints what it is shown to print."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spectrum_suite
from tests.command_lines import read_command
from tests.documents import DOCUMENTS, REPOSITORY, commands, fences, read

NUMBER = r"-?\d+\.\d+"
WITH_COMMANDS = [path for path in DOCUMENTS if commands(read(path))]
PYTHON = [Path("README.md"), *(path for path in DOCUMENTS if path.parent == Path("docs"))]


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=str)
def test_the_commands_of_a_document_are_accepted(path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    for line in commands(read(path)):
        read_command(line)


def test_the_first_page_is_short():
    assert len(read(Path("README.md")).splitlines()) <= 150


def test_every_document_begins_with_a_command():
    documents = [path for path in DOCUMENTS if path.parent == Path("docs")]
    assert len(documents) >= 7
    for path in documents:
        first = fences(read(path))[0]
        assert first.section == 1, path
        assert commands(read(path))[0].split() == first.text.replace("\\\n", " ").splitlines()[0].split(), path
    assert {Path("README.md"), Path("CONTRIBUTING.md"), *documents} <= set(WITH_COMMANDS)


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_what_an_example_imports_is_there_and_public(path):
    code = [fence.text for fence in fences(read(path)) if fence.language == "python"]
    for node in [node for text in code for node in ast.walk(ast.parse(text))]:
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            if module is spectrum_suite:
                assert {alias.name for alias in node.names} <= set(module.__all__)


def shown_examples(text):
    """(code, numbers) of each section with Python that an output follows: all its Python, and what is shown of it.

    Numbers are shown in the output, and in comments after the code.
    """
    found = fences(text)
    for section in sorted({fence.section for fence in found if fence.follows and not fence.language}):
        inside = [fence for fence in found if fence.section == section]
        code = "\n".join(fence.text for fence in inside if fence.language == "python")
        told = ["".join(re.findall(r"# .*", each.text)) if each.language == "python" else each.text for each in inside]
        if code:
            yield code, [float(number) for text in told for number in re.findall(NUMBER, text)]


EXAMPLES = [pytest.param(*example, id=str(path)) for path in DOCUMENTS for example in shown_examples(read(path))]


def printed_by(code):
    run = subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, capture_output=True, text=True)
    return [float(number) for number in re.findall(NUMBER, run.stdout)]


@pytest.mark.model
@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_an_example_prints_what_is_shown(code, expected):
    assert printed_by(code) == pytest.approx(expected, abs=5e-4)  # as far as they are rounded


def test_there_are_examples_with_many_numbers():
    assert sum(len(example.values[1]) for example in EXAMPLES) >= 6 * 2 + 1 + 2 * 3


def test_the_metric_gives_what_the_readme_says():
    [code] = [fence.text for fence in fences(read("README.md")) if "evaluate.load" in fence.text]
    *lines, last = [line for line in code.strip().splitlines() if "polis_vote" not in line]  # that needs a built suite
    call, _, told = last.partition("  # ")
    asked = [call, call.replace("js_divergence", "coverage")]
    printed = printed_by("\n".join([*lines, *(f"print(float({each}))" for each in asked)]))
    assert printed == pytest.approx([float(number) for number in re.findall(NUMBER, told)], abs=5e-5)
