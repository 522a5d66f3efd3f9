"""Tables of a million rows become suites within a gibibyte, of the same bytes every time."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.documents import REPOSITORY

OPTIONS = ["Disagree", "Neither", "Agree"]
PER_ANSWER = """\
table: table.csv
one_row_per: answer
kind: [icl, distribution]
person: who
question: question
answer: answer
about: [age]
by: [age]
description: ["One person answers.", "About this person: {{ about }}."]
options: [Disagree, Neither, Agree]
hold_out: {people: 0.1}
"""
PER_PERSON = """\
table: table.csv
one_row_per: person
kind: [icl, distribution]
person: who
about: [age]
by: [age]
description: ["One person answers.", "About this person: {{ about }}."]
questions: [statement*]
options: [Disagree, Neither, Agree]
hold_out: {people: 0.1}
"""
PER_QUESTION = """\
table: table.csv
one_row_per: question
question: question
description: A question was put to many people. The answer is that of one of them.
options: [Disagree, Neither, Agree]
hold_out: {questions: 0.1}
"""
BUILD = """
import resource, sys
from dataset_builder.commands import main
main(["build", "--tasks", "table.yaml", "--output", sys.argv[1], "--num_proc", "1"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
ROWS = 1_000_000
QUESTIONS = 100
"""Questions of each person, where a row is an answer."""


def statement(number):
    return f"How much do you agree with statement {number}, which is on what matters?"


def age(person):
    return ("young", "old")[person % 2]


def per_answer(file):
    """Each person answers every question; returns how many answers there are."""
    questions = [statement(n) for n in range(QUESTIONS)]
    answers = np.random.default_rng(0).choice(OPTIONS, (ROWS // QUESTIONS, QUESTIONS))
    file.write("who,age,question,answer\n")
    for person, given in enumerate(answers.tolist()):
        file.writelines(f'p{person},{age(person)},"{q}",{a}\n' for q, a in zip(questions, given, strict=True))
    return ROWS


def per_person(file):
    """A million people answer two questions; returns how many answers there are."""
    answers = np.random.default_rng(0).choice(OPTIONS, (ROWS, 2))
    file.write(",".join(["who", "age", *(f"statement {n}" for n in range(2))]) + "\n")
    file.writelines(f"p{person},{age(person)},{','.join(given)}\n" for person, given in enumerate(answers.tolist()))
    return ROWS * 2


def per_question(file):
    """A million questions with counts; returns that no row has draws."""
    counts = np.random.default_rng(0).integers(1, 500, (ROWS, 3))
    file.write("question,Disagree,Neither,Agree\n")
    file.writelines(f'"{statement(n)}",{a},{b},{c}\n' for n, (a, b, c) in enumerate(counts.tolist()))
    return 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is in KiB there")
@pytest.mark.parametrize(
    ("task", "write"),
    [(PER_ANSWER, per_answer), (PER_PERSON, per_person), (PER_QUESTION, per_question)],
    ids=["answer", "person", "question"],
)
def test_a_million_rows_are_built_within_a_gibibyte_to_the_same_bytes(tmp_path, task, write):
    with (tmp_path / "table.csv").open("w") as file:
        answers = write(file)
    (tmp_path / "table.yaml").write_text(task)
    files = []
    for name in ("first", "second"):
        command = [sys.executable, "-c", BUILD, name]
        environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path)}
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert int(run.stdout.splitlines()[-1]) < 1 << 20  # KiB
        records = json.loads((tmp_path / name / "build_report.json").read_text())["tasks"]
        assert sum(record["draws"] for record in records.values()) == answers
        assert sum(record["processes"] for record in records.values()) >= ROWS // QUESTIONS
        files.append({task: record["files"] for task, record in records.items()})
    assert files[0] == files[1]
