import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions, build
from dataset_builder.card import render_card

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
    assert data.source_datasets == ["original"]
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
