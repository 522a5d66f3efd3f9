import pytest
from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions, build
from dataset_builder.card import render_card
from spectrum_suite.suite import suite_tasks, task_infos

TOY_ICL = ("toy_numbers", "toy_people")


@pytest.fixture
def suite(toy_tasks, people_dir, tmp_path):
    build(["all"], BuildOptions(tmp_path / "suite", sources_dir=people_dir))
    return tmp_path / "suite"


def test_the_metadata_tells_load_dataset_where_each_task_is(suite):
    data = DatasetCard.load(suite / "README.md").data
    files = {config["config_name"]: config["data_files"] for config in data["configs"]}
    for name, split in [("toy_numbers", "train"), ("toy_people", "train"), ("toy_urn", "test")]:
        assert files[name] == [{"split": split, "path": f"{name}/{split}-*.parquet"}]
    infos = {info["config_name"]: info for info in data["dataset_info"]}
    assert infos["toy_numbers"]["splits"][0]["num_examples"] == 6
    assert [feature["name"] for feature in infos["toy_urn"]["features"]] == [
        "id", "messages", "options", "probabilities", "n_responses", "source", "output_label",
    ]  # fmt: skip
    assert infos["toy_urn"]["download_size"] == (suite / "toy_urn/test-00000-of-00001.parquet").stat().st_size


def test_the_metadata_is_valid_for_the_hub(suite):
    data = DatasetCard.load(suite / "README.md").data
    assert data.license == "other"  # two sources with licences of their own
    assert data.language == ["en"]
    assert data.task_categories == ["text-generation", "text-classification"]
    assert data.source_datasets == ["extended|other-people", "original"]
    assert data.size_categories == "n<1K"


def test_sources_that_share_a_licence_give_it_to_the_suite(toy_tasks, tmp_path):
    build(["synthetic"], BuildOptions(tmp_path / "suite"))
    assert DatasetCard.load(tmp_path / "suite" / "README.md").data.license == "apache-2.0"


def test_the_text_has_a_line_for_each_task_and_the_terms_of_each_source(suite):
    text = DatasetCard.load(suite / "README.md").text
    assert "| `toy_numbers` | icl | train | 6 | 120 | No upstream | apache-2.0 | yes | paper |" in text
    assert "| `toy_urn` | distribution | test | 3 | - | No upstream | apache-2.0 | yes | ours |" in text
    assert "- licence: CC BY 4.0\n- redistributable: no\n- to cite: Doe 2020" in text
    assert "revision `r7`" in text
    assert "- `toy_people`: Ours are toys." in text
    assert '"content": "An urn."' in text  # a real row
    assert "3 tasks from 2 sources" in text
    assert "{{" not in text


def test_missing_partial_and_limited_tasks_are_said_to_be(toy_tasks, tmp_path):
    build(["all"], BuildOptions(tmp_path / "suite", allow_missing=True, max_rows=2))
    text = (tmp_path / "suite" / "README.md").read_text()
    assert "raw files were missing when it was built: `toy_people`." in text
    assert "Cut to their first rows, for a quick look: `toy_numbers`, `toy_urn`." in text


def test_no_time_of_the_build_is_in_the_card(toy_tasks, tmp_path):
    report = build(["synthetic"], BuildOptions(tmp_path / "suite"))
    card = (tmp_path / "suite" / "README.md").read_text()
    for record in report["tasks"].values():
        record["seconds"] = 12345.0
    assert render_card(tmp_path / "suite", report) == card


def test_mixtures_name_the_files_of_their_tasks(suite):
    data = DatasetCard.load(suite / "README.md").data
    mixtures = {config["config_name"]: config["data_files"] for config in data["configs"]}
    mixtures = {name: files for name, files in mixtures.items() if not name.startswith("toy_")}
    both = ["toy_numbers/train-*.parquet", "toy_people/train-*.parquet"]
    assert mixtures == {
        "train_mixture": [{"split": "train", "path": both}],
        "paper_train_mixture": [{"split": "train", "path": both}],
        "human_variation": [{"split": "train", "path": both[1]}],
        "random_draws": [{"split": "train", "path": both[0]}],
    }
    rows = {name: load_dataset(str(suite), name, split="train") for name in ("train_mixture", *TOY_ICL)}
    assert len(rows["train_mixture"]) == len(rows["toy_numbers"]) + len(rows["toy_people"])
    assert set(rows["train_mixture"]["id"]) == {row for name in TOY_ICL for row in rows[name]["id"]}


def test_mixtures_come_first_and_the_training_mixture_needs_no_name(suite):
    data = DatasetCard.load(suite / "README.md").data
    names = [config["config_name"] for config in data["configs"]]
    assert names == [
        "human_variation", "random_draws", "train_mixture", "paper_train_mixture",
        "toy_urn", "toy_numbers", "toy_people",
    ]  # fmt: skip
    assert [config["config_name"] for config in data["configs"] if config.get("default")] == ["train_mixture"]
    assert load_dataset(str(suite))["train"].to_list() == load_dataset(str(suite), "train_mixture")["train"].to_list()


@pytest.mark.parametrize("task", ["toy_urn", "toy_numbers"])
def test_a_suite_of_one_task_needs_no_name_either(toy_tasks, tmp_path, task):
    build([task], BuildOptions(tmp_path / "suite"))
    splits = load_dataset(str(tmp_path / "suite"))
    assert {row["id"].split("/")[0] for rows in splits.values() for row in rows} == {task}


def test_configurations_that_the_card_does_not_list_are_found(toy_tasks, people_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("dataset_builder.card.LISTED", 5)
    build(["all"], BuildOptions(tmp_path / "suite", sources_dir=people_dir))
    folder = str(tmp_path / "suite")
    card = DatasetCard.load(tmp_path / "suite" / "README.md")
    assert len(card.data["configs"]) == 5
    assert "lists 5 of the 7 configurations" in card.text
    assert get_dataset_config_names(folder)[4:] == ["toy_urn", "toy_numbers", "toy_people"]
    assert load_dataset(folder, "toy_people", split="train").info.license == "CC BY 4.0"
    assert suite_tasks(folder) == ["toy_numbers", "toy_people", "toy_urn"]
    assert {task: info.kind for task, info in task_infos(folder).items()} == {
        "toy_numbers": "icl", "toy_people": "icl", "toy_urn": "distribution",
    }  # fmt: skip
    monkeypatch.setattr("dataset_builder.card.LISTED", 100)
    build(["all"], BuildOptions(tmp_path / "suite", sources_dir=people_dir))
    assert not (tmp_path / "suite" / ".huggingface.yaml").exists()
