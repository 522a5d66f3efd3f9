"""The README's library examples print what it says they print, on the embedded model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = r"-?\d+\.\d+"


def test_the_probabilities_of_answers_are_those_shown():
    section = README.split("As a library, for a look")[1].split("\n## ")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL))
    shown = re.search(r"```\n(option .*?)```", section, flags=re.DOTALL)[1] + "".join(re.findall(r"# (tensor.*)", code))
    printed = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    expected = [float(number) for number in re.findall(NUMBER, shown)]
    assert len(expected) == 6 * 2 + 1 + 2 * 3
    assert [float(number) for number in re.findall(NUMBER, printed)] == pytest.approx(
        expected, abs=5e-4
    )  # as far as they are rounded
