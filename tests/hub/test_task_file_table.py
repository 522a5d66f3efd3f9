"""Tables on a Hub: a file, and a split of a dataset, give a task file the rows of the same table beside it."""

import subprocess
import sys

import pytest
from datasets import Dataset
from huggingface_hub import HfApi

from dataset_builder.build import build
from dataset_builder.build_task import BuildOptions
from spectrum_suite.errors import UserError
from spectrum_suite.suite import task_rows
from tests.dataset_builder.task_files.tables import ANSWERS, PER_ANSWER, written
from tests.documents import REPOSITORY

pytestmark = pytest.mark.hub

DATASET = "org/food"
TASK = PER_ANSWER.format(kind="icl")


@pytest.fixture
def uploaded(here, tmp_path, monkeypatch):
    """The dataset, as a CSV file and as a split."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    api = HfApi(here.url, token=here.write_token)
    api.create_repo(DATASET, repo_type="dataset")
    (tmp_path / "up" / "raw").mkdir(parents=True)
    (tmp_path / "up" / "raw" / "food.csv").write_text(ANSWERS)
    (tmp_path / "food.csv").write_text(ANSWERS)
    Dataset.from_csv(str(tmp_path / "food.csv"), cache_dir=str(tmp_path / "cache")).to_json(
        tmp_path / "up" / "answers" / "train.jsonl"
    )
    (tmp_path / "up" / "README.md").write_text("---\nconfigs:\n- config_name: answers\n  data_dir: answers\n---\n")
    api.upload_folder(repo_id=DATASET, folder_path=tmp_path / "up", repo_type="dataset")
    return api.dataset_info(DATASET).sha


def written_for(folder, table):
    folder.mkdir()
    return written(folder, TASK.replace("table: food.csv", f"table: {table}"), ANSWERS, name="beside.csv")


def rows(suite):
    return [(row["id"], row["messages"]) for row in task_rows(str(suite), "food")]


def built(folder, table):
    build([str(written_for(folder, table))], BuildOptions(folder / "suite", num_proc=1))
    return rows(folder / "suite")


@pytest.fixture
def built_apart(here, tmp_path):
    """``built_apart(folder, table)``: the exit code and stderr of a build in a process of its own."""

    def start(folder, table):
        words = ["-m", "dataset_builder", "build", "--tasks", str(written_for(folder, table)), "--num_proc", "1"]
        done = subprocess.run(
            [sys.executable, *words, "--output", str(folder / "suite")],
            env=here.environment(tmp_path / "apart", token=here.read_token) | {"HF_HUB_OFFLINE": "0"},
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    return start


def test_a_file_of_a_hub_gives_the_rows_of_the_one_beside_the_task_file(uploaded, tmp_path):
    expected = built(tmp_path / "a", "beside.csv")
    assert built(tmp_path / "b", f"hf://datasets/{DATASET}/raw/food.csv") == expected
    assert built(tmp_path / "c", f"hf://datasets/{DATASET}@{uploaded}/raw/food.csv") == expected


def test_a_split_gives_the_same_rows(uploaded, built_apart, tmp_path):
    code, said = built_apart(tmp_path / "d", f"{{dataset: {DATASET}, config: answers, split: train}}")
    assert code == 0, said
    assert rows(tmp_path / "d" / "suite") == built(tmp_path / "a", "beside.csv")
    code, said = built_apart(tmp_path / "e", f"{{dataset: {DATASET}, config: answers, split: dev}}")
    assert code == 2
    assert "split 'dev' of 'org/food' cannot be read" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("hf://datasets/org/none/food.csv", "dataset 'org/none' is neither on this machine nor on the Hub"),
        (f"hf://datasets/{DATASET}/none.csv", "nothing at org/food is called so"),
    ],
)
def test_what_is_not_there_is_said_on_one_line(uploaded, tmp_path, table, part):
    with pytest.raises(UserError) as error:
        built(tmp_path / "a", table)
    assert part in str(error.value)
    assert "\n" not in str(error.value)
