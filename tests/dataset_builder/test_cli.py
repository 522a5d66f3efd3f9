import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_builder.__main__ import main
from dataset_builder.suite_builder import SpectrumSuite


def failing(capsys, *arguments):
    """The exit code and the error line of a command."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code, capsys.readouterr().err


def test_no_command_shows_help_with_examples(capsys):
    main([])
    shown = capsys.readouterr().out
    assert "usage: python -m dataset_builder" in shown
    assert "python -m dataset_builder build --tasks synthetic --output spectrum-suite" in shown


def test_the_module_runs(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "dataset_builder", "build", "--tasks", "coinflop", "--output", str(tmp_path / "suite")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("error: task 'coinflop' not found, did you mean 'coinflip'?")
    assert list(tmp_path.iterdir()) == []


def test_list_as_json_has_every_fact(toy_tasks, capsys):
    main(["list", "--json"])
    tasks = json.loads(capsys.readouterr().out)
    assert [task["name"] for task in tasks] == ["toy_numbers", "toy_people", "toy_urn"]
    assert tasks[1] == {
        "name": "toy_people", "kind": "icl", "split": "train", "source": "people", "group": "human_variation",
        "license": "CC BY 4.0", "redistributable": "no", "origin": "paper", "version": "1.0.0", "summary": "Scores.",
    }  # fmt: skip


def test_list_as_a_table_cuts_no_name(toy_tasks, capsys):
    main(["list"])
    shown = capsys.readouterr().out
    assert "3 tasks" in shown
    for word in ("toy_numbers", "toy_people", "toy_urn", "human_variation", "CC BY 4.0", "ours"):
        assert word in shown


def test_build_reports_on_stdout_and_progress_on_stderr(toy_tasks, people_dir, tmp_path, capsys):
    main(["build", "--tasks", "all", "--sources_dir", str(people_dir), "--output", str(tmp_path / "suite"),
          "--num_proc", "1"])  # fmt: skip
    shown = capsys.readouterr()
    assert "toy_people" in shown.out
    assert f"suite in {tmp_path / 'suite'}" in shown.out
    assert "3/3" in shown.err


def test_raw_files_are_looked_for_where_the_environment_says(toy_tasks, people_dir, tmp_path, capsys, monkeypatch):
    arguments = ["preview", "toy_people", "--rows", "2"]
    code, line = failing(capsys, *arguments)
    assert code == 2
    assert "people.jsonl" in line
    monkeypatch.setitem(os.environ, "SPECTRUM_SOURCES", str(people_dir))
    main(arguments)
    shown = capsys.readouterr().out
    assert shown.count("─ toy_people/ann/") == 2


def test_preview_shows_a_person_what_a_task_is(toy_tasks, people_dir, capsys):
    main(["preview", "toy_people", "--sources_dir", str(people_dir)])
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "toy_people: Scores.",
        "Scores of people <https://example.org/people> at r7",
        "CC BY 4.0 (redistributable: no)",
    ):
        assert part in shown
    rows = len(
        list(SpectrumSuite(config_name="toy_people", data_dir=str(people_dir)).as_streaming_dataset(split="train"))
    )
    assert f"{rows} rows" in shown
    main(["preview", "toy_urn", "--rows", "1"])
    shown = capsys.readouterr().out
    assert "description  An urn." in shown
    assert f"blue   75.0% {chr(0x2588) * 22}" in shown
    assert f"red   25.0% {chr(0x2588) * 8}" in shown
    assert "from 8 answers" in shown


def test_preview_as_json_has_whole_rows(toy_tasks, capsys):
    main(["preview", "toy_urn", "--rows", "3", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == ["toy_urn/u0", "toy_urn/u1", "toy_urn/u2"]
    assert rows[0]["options"] == ["red", "blue"]


def test_a_build_ends_with_what_is_missing_and_why(toy_tasks, tmp_path, capsys):
    main(["build", "--tasks", "all", "--allow_missing", "--output", str(tmp_path / "suite"), "--num_proc", "1"])
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "missing from people: raw/people.jsonl for toy_people: its upstream has no address to fetch it from." in shown
    )
    assert "Get it from https://example.org/people (licence: CC BY 4.0)" in shown


@pytest.mark.parametrize("option", ["--num_proc", "--rows"])
def test_counts_must_be_positive(capsys, option):
    code, line = failing(capsys, "build", "--tasks", "all", "--output", "x", option, "0")
    assert code == 2
    assert "0 is not a positive number" in line


def test_a_mistake_in_a_raw_file_ends_in_one_line(toy_tasks, write_people, tmp_path, capsys):
    sources_dir = write_people("ann", last_line="[]")
    options = ("--sources_dir", str(sources_dir), "--output", str(tmp_path / "suite"), "--num_proc", "1")
    code, shown = failing(capsys, "build", "--tasks", "toy_people", *options)
    assert code == 2
    assert shown.splitlines()[-1].startswith("error: raw file ")
    assert "people.jsonl', row 2: it is not a JSON object but list" in shown
    assert "Traceback" not in shown


def test_the_last_table_names_what_failed(toy_tasks, write_people, tmp_path, capsys):
    sources_dir = write_people("ann", last_line="[]")
    options = ("--sources_dir", str(sources_dir), "--output", str(tmp_path / "suite"), "--num_proc", "1")
    with pytest.raises(SystemExit) as stopped:
        main(("build", "--tasks", "all", *options))
    assert stopped.value.code == 1
    last = capsys.readouterr().out.partition("1 task failed")[2]
    assert "toy_people" in last
    assert "raw file 'people/raw/people.jsonl', row 2: it is not a JSON object but list" in " ".join(last.split())
    main(("build", "--tasks", "toy_urn", *options))  # all that is asked for is there
    assert "1 task failed" in capsys.readouterr().out
