"""The Python examples of the documents print what they are shown to print."""

import re
import subprocess
import sys

import pytest

from tests.documents import DOCUMENTS, REPOSITORY, fences, read

NUMBER = r"-?\d+\.\d+"


def shown_examples(text):
    """(code, numbers) of each section with Python that an output follows: all its Python, and what is shown of it.

    Numbers are shown in the output, and in comments behind the code.
    """
    found = fences(text)
    for section in sorted({fence.section for fence in found if fence.follows and not fence.language}):
        inside = [fence for fence in found if fence.section == section]
        code = "\n".join(fence.text for fence in inside if fence.language == "python")
        told = ["".join(re.findall(r"# .*", each.text)) if each.language == "python" else each.text for each in inside]
        if code:
            yield code, [float(number) for text in told for number in re.findall(NUMBER, text)]


EXAMPLES = [pytest.param(*example, id=str(path)) for path in DOCUMENTS for example in shown_examples(read(path))]


@pytest.mark.model
@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_an_example_prints_what_is_shown(code, expected):
    run = subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, capture_output=True, text=True)
    printed = [float(number) for number in re.findall(NUMBER, run.stdout)]
    assert printed == pytest.approx(expected, abs=5e-4)  # as far as they are rounded


def test_there_are_examples_with_many_numbers():
    assert sum(len(example.values[1]) for example in EXAMPLES) >= 6 * 2 + 1 + 2 * 3
