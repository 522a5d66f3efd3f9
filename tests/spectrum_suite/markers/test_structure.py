import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from spectrum_suite.markers.code_type import detect_code_type
from spectrum_suite.markers.structure import detect_format
from spectrum_suite.markers.taxonomy import TAXONOMY

HERE = Path(__file__).parent
FORMATS = re.findall(r"^=== (\w+): ([^\n]*)\n(.*?)(?=^=== |\Z)", (HERE / "formats.txt").read_text(), re.DOTALL | re.M)
PROGRAMS = re.findall(r"^=== (\w+)\n(.*?)(?=^=== |\Z)", (HERE / "code.txt").read_text(), re.DOTALL | re.M)


def test_there_are_200_documents_eight_of_each():
    assert Counter(label for label, *_ in FORMATS) == dict.fromkeys(TAXONOMY["format"].values, 8)
    assert Counter(label for label, _ in PROGRAMS) == dict.fromkeys(TAXONOMY["code_type"].values, 8)
    assert len(FORMATS) + len(PROGRAMS) == 200


def test_95_of_100_documents_are_recognised():
    wrong = [(label, text) for label, prompt, text in FORMATS if detect_format(prompt, text) != label]
    wrong += [(label, text) for label, text in PROGRAMS if detect_code_type(text) != label]
    assert len(wrong) <= 0.05 * 200, wrong


def test_a_program_has_no_format_and_the_documents_are_no_programs():
    assert [text for _, text in PROGRAMS if detect_format("", text) not in (None, "XML")] == []
    assert [text for label, _, text in FORMATS if label != "Markdown" and detect_code_type(text)] == []


def test_the_labels_of_blocks_decide():
    assert detect_code_type("Use this:\n\n```rb\nx = 1\n```\n") == "ruby"
    two = "```bash\nls\n```\nand\n```py\nfor x in range(3):\n    print(x)\n```"
    assert (detect_code_type(two), detect_format("", two)) == ("python", "Markdown")
    assert detect_code_type("```\nfn main() {}\n```") == "rust"


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "Paris", "Select the best offer from the list and return it.",
        "He said: if you go, go now. Import duties rise; for each car, while stocks last, you pay more.",
        "The function of the heart is to pump blood. Let it rest.", "a < b > c", "<b>unclosed", '{"broken": ',
    ],
)  # fmt: skip
def test_plain_prose_has_neither_format_nor_code(text):
    assert (detect_format("", text), detect_code_type(text)) == (None, None)


def test_a_document_that_defines_entities_is_not_read():
    bomb = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>'
    assert detect_format("", bomb) != "XML"
    assert detect_format("", "[" * 100_000) != "JSON"


@pytest.fixture(scope="module")
def sources():
    if "SPECTRUM_SOURCES" not in os.environ:
        pytest.skip("SPECTRUM_SOURCES names no folder of raw files")
    return Path(os.environ["SPECTRUM_SOURCES"])


def test_real_programs_are_python(sources):
    lines = (sources / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines()
    found = Counter(detect_code_type(json.loads(line)["code"]) for line in lines)
    assert found["python"] >= 0.98 * len(lines)


def test_real_solutions_are_chains_of_thought(sources):
    path = sources / "gsm8k" / "grade_school_math" / "data" / "test.jsonl"
    answers = [json.loads(line)["answer"] for line in path.read_text(encoding="utf-8").splitlines()[:200]]
    assert sum(detect_format("", answer) == "ChainOfThought" for answer in answers) >= 0.9 * len(answers)
