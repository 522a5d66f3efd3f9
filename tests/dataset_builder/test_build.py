import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataset_builder import build as build_module
from dataset_builder.build import BuildOptions, build
from dataset_builder.registry import get_task
from dataset_builder.suite_builder import read_examples
from spectrum_suite.errors import UserError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out" / "suite"


def command(output, *arguments, tasks):
    return [
        sys.executable, "-m", "dataset_builder", "build", "--tasks", *tasks, "--output", str(output), *arguments,
    ]  # fmt: skip


def run(output, *arguments, tasks):
    environment = {key: value for key, value in os.environ.items() if key != "SPECTRUM_SOURCES"}
    return subprocess.run(
        command(output, *arguments, tasks=tasks),
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def bytes_of(folder):
    """Content of every file by its path, but for the report, which holds times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "build_report.json"
    }


def inodes(folder):
    return {path.parent.name: path.stat().st_ino for path in folder.glob("*/*.parquet")}


def beside(output):
    """What lies in the folder of the suite."""
    return sorted(path.name for path in output.parent.iterdir()) if output.parent.exists() else []


def test_a_suite_has_parquet_files_a_card_and_a_report(toy_tasks, people_dir, output):
    report = build(["all"], BuildOptions(output, sources_dir=people_dir))
    assert sorted(bytes_of(output)) == [
        "README.md",
        "toy_numbers/train-00000-of-00001.parquet",
        "toy_people/train-00000-of-00001.parquet",
        "toy_urn/test-00000-of-00001.parquet",
    ]
    assert beside(output) == ["suite"]
    assert json.loads((output / "build_report.json").read_text()) == report
    people = report["tasks"]["toy_people"]
    assert (people["status"], people["processes"], people["draws"]) == ("built", 3, 87)
    assert people["dropped"] == {"no person": 1, "row with fewer than 2 draws": 3}  # the other three of 90 draws
    assert people["rows"] == pq.read_metadata(output / "toy_people/train-00000-of-00001.parquet").num_rows
    assert report["tasks"]["toy_numbers"]["draws"] == 6 * 20
    for name, record in report["tasks"].items():
        for file, facts in record["files"].items():
            path = output / name / file
            assert facts == {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "rows": record["rows"],
                "bytes": path.stat().st_size,
            }
        assert sorted(record["files"]) == sorted(path.name for path in (output / name).iterdir())
    assert report["seed"] == 42


def test_same_seed_same_bytes_in_two_processes_or_one_and_with_other_tasks(tmp_path):
    build(["poisson", "coinflip", "dist_urn"], BuildOptions(tmp_path / "one", max_rows=60))
    two = run(
        tmp_path / "two", "--rows", "60", "--num_proc", "2", tasks=("poisson", "coinflip", "dist_urn", "dist_states")
    )
    assert two.returncode == 0, two.stderr
    first, second = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    parquet = [name for name in first if name.endswith(".parquet")]
    assert len(parquet) == 3
    assert {name: first[name] for name in parquet} == {name: second[name] for name in parquet}


def test_a_second_build_is_the_same_to_the_byte(toy_tasks, people_dir, output):
    options = BuildOptions(output, sources_dir=people_dir)
    build(["all"], options)
    first = bytes_of(output)
    shutil.rmtree(output)
    build(["all"], options)
    assert bytes_of(output) == first


def test_building_in_steps_gives_the_same_as_at_once(toy_tasks, people_dir, output, tmp_path):
    build(["all"], BuildOptions(tmp_path / "whole", sources_dir=people_dir))
    build(["toy_urn"], BuildOptions(output))
    assert list(inodes(output)) == ["toy_urn"]
    build(["toy_people", "toy_numbers"], BuildOptions(output, sources_dir=people_dir))
    assert bytes_of(output) == bytes_of(tmp_path / "whole")


def test_another_seed_gives_other_draws(toy_tasks, tmp_path):
    for seed in (42, 43):
        build(["toy_numbers"], BuildOptions(tmp_path / str(seed), seed=seed))
    name = "toy_numbers/train-00000-of-00001.parquet"
    assert bytes_of(tmp_path / "42")[name] != bytes_of(tmp_path / "43")[name]


def test_a_task_that_has_not_changed_is_not_built_again(toy_tasks, people_dir, write_people, output):
    build(["all"], BuildOptions(output, sources_dir=people_dir))
    before = inodes(output)
    write_people("ann", "dora")
    report = build(["all"], BuildOptions(output, sources_dir=people_dir))
    after = inodes(output)
    assert {task for task in before if before[task] == after[task]} == {"toy_numbers", "toy_urn"}
    assert report["tasks"]["toy_people"]["processes"] == 2


def test_the_version_of_the_code_covers_the_random_numbers(tmp_path, monkeypatch):
    before = build_module.code_version.__wrapped__()
    (tmp_path / "seeding.py").write_text("def generator(): ...")
    monkeypatch.setattr("spectrum_suite.seeding.__file__", str(tmp_path / "seeding.py"))
    assert build_module.code_version.__wrapped__() != before


@pytest.mark.parametrize("damage", ["zeroes", "gone", "cut"])
def test_a_task_whose_file_was_damaged_is_built_again(toy_tasks, output, damage):
    build(["all"], BuildOptions(output, allow_missing=True))
    whole, before = bytes_of(output), inodes(output)
    path = output / "toy_numbers" / "train-00000-of-00001.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:100] + bytes(40) + content[140:] if damage == "zeroes" else content[:-9])
    build(["all"], BuildOptions(output, allow_missing=True))
    assert bytes_of(output) == whole
    assert inodes(output)["toy_urn"] == before["toy_urn"]


def test_a_quick_look_is_not_taken_for_the_whole(toy_tasks, output):
    assert build(["toy_numbers"], BuildOptions(output, max_rows=2))["tasks"]["toy_numbers"]["rows"] == 2
    assert build(["toy_numbers"], BuildOptions(output))["tasks"]["toy_numbers"]["rows"] == 6


def test_an_interrupted_build_keeps_what_is_finished(toy_tasks, people_dir, output, monkeypatch):
    options = BuildOptions(output, sources_dir=people_dir)
    build_task = build_module.build_task

    def interrupted_at_the_last(job):
        if job.task == "toy_urn":
            raise KeyboardInterrupt
        return build_task(job)

    monkeypatch.setattr(build_module, "build_task", interrupted_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        build(["all"], options)
    assert beside(output) == [".suite.partial"]
    finished = inodes(output.parent / ".suite.partial")
    assert set(finished) == {"toy_numbers", "toy_people"}

    built = []
    monkeypatch.setattr(build_module, "build_task", lambda job: built.append(job.task) or build_task(job))
    build(["all"], options)
    assert built == ["toy_urn"]
    assert {task: inode for task, inode in inodes(output).items() if task in finished} == finished
    assert beside(output) == ["suite"]


def test_a_killed_build_goes_on_where_it_stopped(tmp_path):
    output = tmp_path / "suite"
    tasks = ("coinflip", "dist_urn", "multinomial")  # the last takes longest
    process = subprocess.Popen(
        command(output, "--num_proc", "2", tasks=tasks), cwd=REPOSITORY, stderr=subprocess.DEVNULL
    )
    staging = tmp_path / ".suite.partial"
    deadline = time.monotonic() + 60
    while not list(staging.glob(".records/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    time.sleep(0.5)  # its workers notice and go too
    finished = {
        task: inode for task, inode in inodes(staging).items() if (staging / ".records" / f"{task}.json").exists()
    }
    assert 1 <= len(finished) < len(tasks)

    again = run(output, "--num_proc", "1", tasks=tasks)
    assert again.returncode == 0, again.stderr
    assert set(inodes(output)) == set(tasks)
    assert finished.items() <= inodes(output).items()
    assert beside(output) == ["suite"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_build_of_which_nothing_comes_leaves_everything_as_it_was(
    toy_tasks, people_dir, write_people, output, exists
):
    if exists:
        build(["toy_people"], BuildOptions(output, sources_dir=people_dir))
    before = bytes_of(output), beside(output)
    write_people("ann", last_line="{broken")
    with pytest.raises(UserError, match=r"'people/raw/people\.jsonl', row 2: "):
        build(["toy_people"], BuildOptions(output, sources_dir=people_dir))
    assert (bytes_of(output), beside(output)) == before


def test_a_task_that_fails_is_named_and_the_others_are_built(toy_tasks, write_people, output, tmp_path):
    sources_dir = write_people("ann", last_line="{broken")
    options = BuildOptions(output, sources_dir=sources_dir)
    report = build(["all"], options)
    people = report["tasks"]["toy_people"]
    assert (people["status"], people["rows"], people["files"]) == ("failed", 0, {})
    assert people["error"].startswith("raw file 'people/raw/people.jsonl', row 2: ")
    assert set(inodes(output)) == {"toy_numbers", "toy_urn"}
    card = (output / "README.md").read_text()
    assert "because they could not be built (`build_report.json` says why): `toy_people`." in card
    assert str(tmp_path) not in card + (output / "build_report.json").read_text()

    assert build(["toy_urn"], options)["tasks"]["toy_people"] == people  # it is still not there
    write_people("ann")
    report = build(["all"], options)
    assert report["tasks"]["toy_people"]["status"] == "built"
    assert "could not be built" not in (output / "README.md").read_text()


def test_all_that_failed_is_named_when_nothing_could_be_built(tmp_path, output):
    path = tmp_path / "gsm8k" / get_task("gsm8k_question").source.files[0].path
    path.parent.mkdir(parents=True)
    path.write_text("{broken")
    done = run(
        output, "--sources_dir", str(tmp_path), "--num_proc", "2", tasks=("gsm8k_question", "gsm8k_question_answer")
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: raw file 'gsm8k/")
    assert "(and 1 more task failed for the same reason)" in done.stderr
    assert not output.exists()


def test_a_fault_that_no_reader_foresees_is_that_of_one_task(toy_tasks, people_dir, output, monkeypatch):
    def broken(spec, files, seed, cleaned=None):
        if spec.name == "toy_people":
            raise ZeroDivisionError("one by nought")
        return read_examples(spec, files, seed, cleaned)

    monkeypatch.setattr("dataset_builder.suite_builder.read_examples", broken)
    people = build(["all"], BuildOptions(output, sources_dir=people_dir))["tasks"]["toy_people"]
    assert people["status"] == "failed"
    assert people["error"].startswith(
        "task 'toy_people' cannot be built: ZeroDivisionError: one by nought (suite_builde"
    )


def test_a_raw_file_that_cannot_be_read_is_a_fault_of_its_tasks(toy_tasks, people_dir, output, monkeypatch):
    def unreadable(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(people_dir / "people/raw/people.jsonl"))

    monkeypatch.setattr("dataset_builder.files.FoundFiles.checksums", unreadable)
    with pytest.raises(UserError, match=r"task 'toy_people'.*file 'people/raw/people\.jsonl': Permission denied"):
        build(["toy_people"], BuildOptions(output, sources_dir=people_dir))


def test_a_full_disk_ends_with_its_own_error_and_nothing_half_written(toy_tasks, output, monkeypatch):
    def no_space(*arguments, **settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", no_space)
    with pytest.raises(OSError, match="No space left") as error:
        build(["toy_numbers"], BuildOptions(output))
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(output))
    assert not output.parent.exists()


def test_missing_files_are_an_error_before_anything_is_written(toy_tasks, tmp_path, output):
    with pytest.raises(UserError, match=r"toy_people.*people\.jsonl"):
        build(["all"], BuildOptions(output, sources_dir=tmp_path))
    assert not output.parent.exists()


def test_missing_files_can_be_allowed(toy_tasks, tmp_path, output):
    report = build(["all"], BuildOptions(output, sources_dir=tmp_path, allow_missing=True))
    people = report["tasks"]["toy_people"]
    assert (people["status"], people["rows"], people["missing"]) == (
        "missing",
        0,
        {"raw/people.jsonl": "its upstream has no address to fetch it from"},
    )
    assert set(inodes(output)) == {"toy_numbers", "toy_urn"}
    with pytest.raises(UserError, match=r"none of the tasks.*toy_people"):
        build(["toy_people"], BuildOptions(output.with_name("other"), allow_missing=True))


def test_a_task_stays_when_its_files_have_gone_since(toy_tasks, people_dir, output):
    build(["toy_people"], BuildOptions(output, sources_dir=people_dir))
    before = inodes(output)
    report = build(["toy_people", "toy_urn"], BuildOptions(output, allow_missing=True))
    assert report["tasks"]["toy_people"]["rows"] > 0
    assert before.items() <= inodes(output).items()


def test_a_folder_that_is_no_suite_is_refused(toy_tasks, output):
    output.mkdir(parents=True)
    build(["toy_urn"], BuildOptions(output))  # an empty one will do
    (output.parent / "thesis").mkdir()
    (output.parent / "thesis" / "chapter.txt").write_text("important")
    with pytest.raises(UserError, match=r"thesis' exists and is not a built suite"):
        build(["toy_urn"], BuildOptions(output.parent / "thesis"))
    with pytest.raises(UserError, match="is not a built suite"):
        build(["toy_urn"], BuildOptions(output.parent / "thesis" / "chapter.txt"))
    assert beside(output) == ["suite", "thesis"]


def test_a_place_that_cannot_be_written_is_refused(toy_tasks, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        build(["toy_urn"], BuildOptions(tmp_path / "file" / "suite"))


def test_a_suite_with_a_task_of_another_version_is_left_alone(toy_tasks, output):
    build(["toy_urn"], BuildOptions(output))
    report = output / "build_report.json"
    report.write_text(report.read_text().replace('"toy_urn"', '"toy_vase"'))
    with pytest.raises(UserError, match="holds task 'toy_vase', which this version does not have"):
        build(["toy_numbers"], BuildOptions(output))
    report.write_text("{}")
    with pytest.raises(UserError, match="is not a build report"):
        build(["toy_numbers"], BuildOptions(output))
    assert set(inodes(output)) == {"toy_urn"}


def test_a_suite_has_one_seed(toy_tasks, output):
    build(["toy_urn"], BuildOptions(output, seed=1))
    with pytest.raises(UserError, match="seed 1, not 42: give '--seed 1'"):
        build(["toy_numbers"], BuildOptions(output))


def test_two_builds_of_one_suite_do_not_mix(toy_tasks, output, monkeypatch):
    def build_within(job):
        build(["toy_numbers"], BuildOptions(output))

    monkeypatch.setattr(build_module, "build_task", build_within)
    with pytest.raises(UserError, match="another build is writing"):
        build(["toy_urn"], BuildOptions(output))


def test_a_swap_that_was_cut_off_is_undone(toy_tasks, output):
    build(["toy_urn"], BuildOptions(output))
    output.rename(output.with_name(".suite.previous"))
    build(["toy_numbers"], BuildOptions(output))
    assert set(inodes(output)) == {"toy_numbers", "toy_urn"}
    assert beside(output) == ["suite"]


def test_load_dataset_reads_a_built_suite_by_name(tmp_path):
    build(["coinflip", "dist_urn"], BuildOptions(tmp_path / "spectrum-suite", max_rows=5))
    program = (
        "import json, datasets\n"
        "coin = datasets.load_dataset('spectrum-suite', 'coinflip', split='train')\n"
        "urns = datasets.load_dataset('spectrum-suite', 'dist_urn')\n"
        "print(json.dumps([coin[0], len(coin), list(urns), urns['test'][0]]))"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    coin, n_coins, splits, urn = json.loads(loaded.stdout)
    assert n_coins == 5
    assert {message["content"] for message in coin["messages"][1:]} <= {"Heads", "Tails"}
    assert coin["n_outputs"] == len(coin["messages"]) - 1
    assert splits == ["test"]
    assert sum(urn["probabilities"]) == pytest.approx(1)
    assert len(urn["options"]) == len(urn["probabilities"])
