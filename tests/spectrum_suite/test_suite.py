"""What a suite says of its tasks, on its card or only in its files."""

import os
import shutil

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions, build
from spectrum_suite import suite as suites
from spectrum_suite.errors import UserError
from spectrum_suite.suite import TaskInfo, suite_tasks, task_groups, task_infos, task_rows
from tests.tiny_models import save_suite

EXPECTED = {
    "cards": TaskInfo("icl", held_out=False),
    "cov_weekdays_full": TaskInfo("coverage", held_out=True),
    "dist_states": TaskInfo("distribution", held_out=True),
    "flight": TaskInfo("icl", held_out=True),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "spectrum-suite"
    build(list(EXPECTED), BuildOptions(folder, max_rows=2))
    return str(folder)


def test_the_card_says_what_tasks_are_and_no_file_is_read(built, monkeypatch):
    for name in ("task_rows", "get_dataset_split_names"):
        monkeypatch.setattr(suites, name, None)
    assert task_infos(built) == EXPECTED
    assert task_infos(built, ["flight"]) == {"flight": EXPECTED["flight"]}


def test_a_task_is_loaded_as_datasets_loads_it_and_the_card_is_parsed_once(built, monkeypatch):
    expected = {task: load_dataset(built, task) for task in EXPECTED}
    parsed, load = [], DatasetCard.load
    monkeypatch.setattr(DatasetCard, "load", lambda path, **options: parsed.append(path) or load(path, **options))
    monkeypatch.setattr(suites, "load_dataset", None)
    suites._parsed_card.cache_clear()
    assert task_groups(built) == {"cards": "random_draws", "flight": "human_variation"}
    for task, by_split in expected.items():
        rows = task_rows(built, task)
        assert {rows.split: rows.to_list()} == {split: rows.to_list() for split, rows in by_split.items()}
        assert rows.features == next(iter(by_split.values())).features
    assert len(parsed) == 1


def test_a_card_that_has_changed_is_parsed_again(built, tmp_path):
    folder = tmp_path / "suite"
    shutil.copytree(built, folder)
    assert "cards" in suite_tasks(str(folder))
    card = folder / "README.md"
    card.write_text("---\nconfigs:\n- config_name: [\n---\n")
    with pytest.raises(UserError, match="cannot be read: while parsing"):
        suite_tasks(str(folder))


def test_the_files_say_it_where_the_card_is_silent(tmp_path):
    folder = str(save_suite(tmp_path / "suite"))
    assert task_infos(folder) == {
        "colors": TaskInfo("distribution", held_out=True),
        "dice": TaskInfo("distribution", held_out=True),
        "draws": TaskInfo("icl", held_out=True),
        "letters": TaskInfo("coverage", held_out=True),
    }


def test_an_unknown_task_is_named_with_the_closest_one(built):
    with pytest.raises(UserError, match=r"no task 'card'.*did you mean 'cards'"):
        task_infos(built, ["card"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nonexistent", "'/nonexistent' not found"),
        ("./some/where", "'./some/where' not found"),
        ("../suite", "'../suite' not found"),
        ("./suite", "'./suite' not found"),
        ("~/suite", "'~/suite' not found"),
        ("suites/", "'suites/' not found"),
        ("nowhere", "'nowhere' not found"),
        ("org/none", "'org/none' cannot be read"),
    ],
)
def test_a_suite_that_is_none(name, message, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message):
        suite_tasks(name)


def test_a_suite_built_anew_is_read_anew_whatever_its_times(tmp_path):
    def first_rows(seed):
        shutil.rmtree(tmp_path / "suite", ignore_errors=True)
        build(["coinflip", "dist_urn"], BuildOptions(tmp_path / "suite", max_rows=4, seed=seed))
        for path in (tmp_path / "suite").rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        name = str(tmp_path / "suite")
        loaded = [next(iter(load_dataset(name, task).values())).to_list() for task in ("coinflip", "dist_urn")]
        return loaded, [task_rows(name, task).to_list() for task in ("coinflip", "dist_urn")]

    for seed in (1, 2, 1):
        loaded, read = first_rows(seed)
        assert loaded == read
        other, _ = first_rows(seed + 10)
        assert all(a != b for a, b in zip(loaded, other, strict=True))


@pytest.mark.parametrize("writer", ["polars", "large"])
def test_tables_of_other_writers_have_the_same_rows(tmp_path, writer):
    tasks = ["coinflip", "dist_urn", "cov_rng_1_10"]
    build(tasks, BuildOptions(tmp_path / "suite", max_rows=4))
    ours = {task: task_rows(str(tmp_path / "suite"), task).to_list() for task in tasks}
    infos = task_infos(str(tmp_path / "suite"))
    for path in (tmp_path / "suite").rglob("*.parquet"):
        if writer == "polars":
            pl.read_parquet(path).write_parquet(path)
        else:
            table = pq.read_table(path).replace_schema_metadata(None)
            fields = [(field.name, large(field.type)) for field in table.schema]
            pq.write_table(table.cast(pa.schema(fields)), path)
    assert {task: task_rows(str(tmp_path / "suite"), task).to_list() for task in tasks} == ours
    assert task_infos(str(tmp_path / "suite")) == infos


def large(kind):
    if pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_list(kind):
        return pa.large_list(large(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, large(field.type)) for field in kind])
    return kind
