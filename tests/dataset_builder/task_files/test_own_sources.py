"""Tasks from outside of the repository: how they are found, built, carried on and published."""

import json
from importlib.metadata import EntryPoint

import datasets
import pytest

from dataset_builder import registry
from dataset_builder.build import build
from dataset_builder.build_task import BuildOptions
from dataset_builder.commands import main
from dataset_builder.registry import get_task, including, known_tasks, select_tasks
from spectrum_suite.errors import UserError
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.suite import located, task_infos, task_rows
from tests.dataset_builder.task_files.tables import ANSWERS, PER_ANSWER, written

SOURCE = """
from dataset_builder.task_spec import Draw, Example, Sequences, Source, TaskSpec

MINE = Source("mine", "Mine", "https://example.org", "cc0-1.0", "yes", "me")


def generate(rng, index):
    return Example(f"p{index}", draws=tuple(Draw(None, str(number)) for number in rng.integers(0, 9, 5)))


TASKS = [
    TaskSpec("my_numbers", "icl", "train", MINE, "random_draws", "Numbers.", "a list", ("number",),
             sequences=Sequences("one"), generate=generate, n_processes=3, origin="ours"),
]
"""
TASK = PER_ANSWER.format(kind="[icl, distribution]") + "redistributable: yes\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "my_source.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def food(tmp_path):
    folder = tmp_path / "my-tasks"
    folder.mkdir()
    return written(folder, TASK, ANSWERS)


def test_a_python_source_is_known_for_as_long_as_it_is_included(source):
    with including([source]) as found:
        assert [spec.name for spec in found[source]] == ["my_numbers"]
        assert get_task("my_numbers") in known_tasks()
    with pytest.raises(UserError, match="'my_numbers' not found"):
        get_task("my_numbers")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("TASKS = []", "has no TASKS"),
        (SOURCE.replace("my_numbers", "coinflip"), "'coinflip' of .*my_source.py' is in the suite already"),
        (
            SOURCE.replace('"icl"', '"distribution"'),
            "cannot be imported: ValueError: .*'sequences' goes with kind 'icl'",
        ),
    ],
)
def test_a_source_that_cannot_be_used_is_told_on_one_line(source, text, message):
    source.write_text(text)
    with pytest.raises(UserError, match=message) as error, including([source]):
        pass
    assert "\n" not in str(error.value)


def test_an_installed_package_brings_sources_by_an_entry_point(tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("mine", "my_source", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.ENTRY_POINTS else [])
    registry.all_tasks.cache_clear()
    try:
        assert get_task("my_numbers").source.name == "mine"
        source.write_text("raise RuntimeError('broken')")
        monkeypatch.delitem(__import__("sys").modules, "my_source")
        registry.all_tasks.cache_clear()
        with pytest.raises(
            UserError, match="source 'my_source' of an installed package cannot be imported: RuntimeError"
        ):
            known_tasks()
    finally:
        monkeypatch.undo()
        registry.all_tasks.cache_clear()


def test_list_shows_the_tasks_of_a_file(food, source, capsys):
    main(["list", str(food), "--json"])
    assert [task["name"] for task in json.loads(capsys.readouterr().out)] == ["dist_food", "food"]
    main(["list", str(food.parent), "my_numbers", "--sources", str(source), "--json"])
    assert [task["name"] for task in json.loads(capsys.readouterr().out)] == ["dist_food", "food", "my_numbers"]


def test_preview_shows_rows_and_what_is_wrong(food, capsys):
    (food.parent / "food.csv").write_text(ANSWERS + "dee,,,Fruit?,Oftn\n")
    main(["preview", str(food), "--rows", "1"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "One person answers questions on food." in shown
    assert (
        "dist_food, food: left out: 1 x answer that is not among the options (first: row 7, column 'answer': 'Oftn')"
        in shown
    )


def test_a_suite_of_own_tasks_is_built_carried_on_and_published_without_their_files(tmp_path, food, source, capsys):
    suite = tmp_path / "suite"
    words = ["--num_proc", "1", "--output", str(suite)]
    main(["build", "--tasks", str(food), "my_numbers", "--sources", str(source), *words])
    food.unlink()
    source.unlink()
    main(["build", "--tasks", "coinflip", "--rows", "3", *words])
    assert set(task_infos(str(suite))) == {"food", "dist_food", "my_numbers", "coinflip"}
    publication = dataset_publication(suite, "org/food")
    assert {"food", "dist_food", "my_numbers"} <= set(publication.expected)
    assert "What people eat" in publication.card


def test_a_suite_whose_record_says_nothing_of_its_task_is_refused(tmp_path, food):
    suite = tmp_path / "suite"
    report = build([str(food)], BuildOptions(suite))
    for record in report["tasks"].values():
        record["definition"] = None
    (suite / "build_report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match="is not one that this version has"):
        dataset_publication(suite, "org/food")


def test_what_looks_like_data_on_people_is_said_before_it_is_published(tmp_path, food):
    (food.parent / "food.csv").write_text(ANSWERS.replace("Fruit?", "Write to a@b.example.com?"))
    report = build([str(food)], BuildOptions(tmp_path / "suite"))
    assert report["tasks"]["food"]["personal"] == {"cell that looks like an e-mail address": 3}
    notes = dataset_publication(tmp_path / "suite", "org/food").notes
    assert [note for note in notes if "e-mail address" in note and "row 1, column 'question'" in note]


def test_a_strict_build_tells_all_faults_at_once_and_leaves_nothing(tmp_path, food):
    (food.parent / "food.csv").write_text(ANSWERS + "dee,,,Fruit?,Oftn\ndee,,,Meat?,often\ncy,50+,Ghana,Eggs?,\n")
    with pytest.raises(UserError) as error:
        build(["food"], BuildOptions(tmp_path / "suite", own=(food,), strict=True))
    line = str(error.value)
    assert "1 x answer that is not among the options (first: row 7, column 'answer': 'Oftn')" in line
    assert "1 x answer that is spelled otherwise than its option (first: row 8" in line
    assert "1 x answer of a person with fewer than 2 answers (first: row 8)" in line
    assert "without an answer" not in line  # not to answer is no fault
    assert "\n" not in line
    assert not (tmp_path / "suite").exists()
    build(["food"], BuildOptions(tmp_path / "suite", own=(food,)))


def test_a_build_is_reused_until_the_file_or_its_table_changes(tmp_path, food):
    def built():
        return build([str(food)], BuildOptions(tmp_path / "suite"))["tasks"]["food"]

    first = built()
    assert built()["seconds"] == first["seconds"]
    food.write_text(food.read_text().replace("questions on food", "questions about food"))
    assert (second := built())["fingerprint"] != first["fingerprint"]
    (food.parent / "food.csv").write_text(ANSWERS.replace("18-29", "18-30"))
    assert built()["fingerprint"] != second["fingerprint"]


def test_own_tasks_are_in_mixtures_with_those_of_the_repository(tmp_path, food):
    build([str(food), "coinflip"], BuildOptions(tmp_path / "suite", max_rows=3))
    rows = datasets.load_dataset(
        str(tmp_path / "suite"), "train_mixture", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert {row["source"] for row in rows} == {"synthetic", "food"}
    assert [row["groups"] for row in rows if row["source"] == "synthetic"] == [None] * 3


def test_a_task_file_is_a_suite_that_is_built_when_it_is_asked_for(food, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    located.cache_clear()
    assert {name: info.kind for name, info in task_infos(str(food)).items()} == {
        "food": "icl", "dist_food": "distribution",
    }  # fmt: skip
    assert len(task_rows(str(food), "food")) == 3
    located.cache_clear()
    assert set(task_infos(str(food.parent))) == {"food", "dist_food"}
    assert len(list((tmp_path / "cache" / "spectrum_suite" / "suites").glob("*/build_report.json"))) == 1
    located.cache_clear()


def test_the_word_all_takes_own_tasks_too(food):
    with including([food]):
        assert {"food", "dist_food"} <= {spec.name for spec in select_tasks(["ours"])}
