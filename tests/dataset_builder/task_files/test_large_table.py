"""A table of a million rows becomes a suite within a gibibyte, of the same bytes every time."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.documents import REPOSITORY

TASK = """\
table: answers.csv
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
BUILD = """
import resource, sys
from dataset_builder.commands import main
main(["build", "--tasks", "answers.yaml", "--output", sys.argv[1], "--num_proc", "1"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
PEOPLE, QUESTIONS = 10_000, 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is in KiB there")
def test_a_million_rows_are_built_within_a_gibibyte_to_the_same_bytes(tmp_path):
    questions = [f"How much do you agree with statement {n}, which is on what matters?" for n in range(QUESTIONS)]
    answers = np.random.default_rng(0).choice(["Disagree", "Neither", "Agree"], (PEOPLE, QUESTIONS))
    with (tmp_path / "answers.csv").open("w") as file:
        file.write("who,age,question,answer\n")
        for person, given in enumerate(answers.tolist()):
            age = ("young", "old")[person % 2]
            file.writelines(f'p{person},{age},"{q}",{a}\n' for q, a in zip(questions, given, strict=True))
    (tmp_path / "answers.yaml").write_text(TASK)
    files = []
    for name in ("first", "second"):
        command = [sys.executable, "-c", BUILD, name]
        environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(tmp_path)}
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert int(run.stdout.splitlines()[-1]) < 1 << 20  # KiB
        records = json.loads((tmp_path / name / "build_report.json").read_text())["tasks"]
        assert sum(record["draws"] for record in records.values()) == PEOPLE * QUESTIONS
        files.append({task: record["files"] for task, record in records.items()})
    assert files[0] == files[1]
