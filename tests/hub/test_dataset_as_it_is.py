"""A dataset of a Hub is evaluated and trained on as it is, at a commit that the report names; then without a Hub."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset
from huggingface_hub import HfApi, ModelCard

from tests.tiny_models import save_llama

pytestmark = pytest.mark.hub

REPOSITORY = Path(__file__).parents[2]
DATASET = "org/opinions"
COLUMNS = "messages=prompt,options=answers,probabilities=shares"


def shares(yes):
    return [
        {"prompt": f"Do you like {food}?", "answers": ["yes", "no"], "shares": [yes, 1 - yes], "age": age}
        for food, age in (("tea", "old"), ("coffee", "young"), ("milk", "old"))
    ]


@pytest.fixture
def opinions(hub, tmp_path, monkeypatch):
    """The commits of a dataset of two configurations, before and after its shares were changed."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # this Hub has none
    api = HfApi(hub.url, token=hub.write_token)
    api.create_repo(DATASET, repo_type="dataset")
    for yes in (0.25, 0.75):
        for config in ("food", "music"):
            for split in ("train", "test"):
                Dataset.from_list(shares(yes)).to_json(tmp_path / "data" / config / f"{split}.jsonl")
        configs = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in ("food", "music"))
        (tmp_path / "data" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
        api.upload_folder(repo_id=DATASET, folder_path=tmp_path / "data", repo_type="dataset")
    return [commit.commit_id for commit in api.list_repo_commits(DATASET, repo_type="dataset")][1::-1]


READ = """
import json, sys
from spectrum_suite.dataset_suite import DatasetChoice, dataset_suite, parse_columns
from spectrum_suite.errors import UserError
from spectrum_suite.suite import task_rows
columns, *choices = json.loads(sys.argv[1])
found = []
for choice in choices:
    try:
        made = dataset_suite(DatasetChoice(columns=parse_columns([columns]), **choice))
        found.append([made.source, task_rows(str(made.folder), made.task)["probabilities"][:]])
    except UserError as error:
        found.append([str(error)])
print(json.dumps(found))
"""


TUNE_AND_MEASURE = """
import json, sys
from spectrum_suite.commands import evaluate, train
train.main(json.loads(sys.argv[1]))
evaluate.main(json.loads(sys.argv[2]))
"""


@pytest.fixture
def python(hub, tmp_path):
    """``python(*words)``: what a process of its own prints, with the Hub or, offline, without."""

    def start(*words, offline=False, token=hub.read_token):
        environment = hub.environment(tmp_path / "home", token=token) | {"HF_HUB_OFFLINE": str(int(offline))}
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start


def test_a_dataset_is_read_at_a_commit_with_and_without_a_connection(python, opinions):
    before, now = opinions
    file = f"hf://datasets/{DATASET}/music/train.jsonl"
    choices = [
        {"name": DATASET, "split": "test", "config": "food"},
        {"name": DATASET, "split": "test", "config": "food", "revision": before},
        {"name": f"hf://datasets/{DATASET}", "split": "test[:1]", "config": "food"},
        {"name": file, "split": "train"},
        {"name": file.replace("/music", f"@{before}/music"), "split": "train"},
    ]
    found = json.loads(python("-c", READ, json.dumps([COLUMNS, *choices])))
    assert [source["revision"] for source, _ in found] == [now, before, now, now, before]
    assert [rows for _, rows in found] == [
        [[yes, 1 - yes]] * count for yes, count in ((0.75, 3), (0.25, 3), (0.75, 1), (0.75, 3), (0.25, 3))
    ]
    assert json.loads(python("-c", READ, json.dumps([COLUMNS, *choices]), offline=True)) == found


def test_what_is_not_there_is_said_on_one_line(python, opinions):
    of_dataset = {"name": DATASET, "split": "test"}
    wrong = [
        ({"name": "org/none", "split": "test"}, "dataset 'org/none' is neither on this machine nor on the Hub"),
        (of_dataset, "Config name is missing"),
        (of_dataset | {"config": "art"}, "'art' not found"),
        (of_dataset | {"config": "food", "split": "dev"}, 'Unknown split "dev"'),
        (of_dataset | {"revision": "v9"}, f"dataset '{DATASET}' has no revision 'v9'"),
        ({"name": f"hf://datasets/{DATASET}/art.csv", "split": "train"}, "has no such file"),
        ({"name": f"hf://datasets/{DATASET}@v9/art.csv", "split": "train"}, "has no revision 'v9'"),
    ]
    found = json.loads(python("-c", READ, json.dumps([COLUMNS, *(choice for choice, _ in wrong)])))
    for [said], (_, message) in zip(found, wrong, strict=True):
        assert message in said
        assert "\n" not in said


def test_a_model_is_tuned_and_measured_on_a_dataset_of_a_hub_and_published(
    hub, python, opinions, tokenizer_of, tmp_path
):
    model = save_llama(tmp_path / "model", tokenizer_of("llama3"))
    training_words = [
        "--objective", "distribution", "--dataset", DATASET, "--dataset_config", "music", "--columns", COLUMNS,
        "--output_dir", tmp_path / "tuned", "--model_name_or_path", model, "--use_cpu", "true", "--report_to", "none",
        "--max_steps", "1", "--dtype", "float32", "--lora_r", "2", "--load_in_4bit", "false",
    ]  # fmt: skip
    measuring_words = [
        "--model", tmp_path / "tuned", "--device", "cpu", "--dataset", DATASET, "--dataset_config", "food",
        "--columns", COLUMNS, "--output", tmp_path / "out",
    ]  # fmt: skip
    python("-c", TUNE_AND_MEASURE, *(json.dumps(list(map(str, words))) for words in (training_words, measuring_words)))
    training = json.loads((tmp_path / "tuned" / "training_report.json").read_text())
    assert (training["suite"], training["rows_per_task"]) == (DATASET, {"opinions": 3})
    assert (training["dataset"]["split"], training["dataset"]["revision"]) == ("train", opinions[1])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["suite"]["name"] == DATASET
    assert report["suite"]["dataset"] == {
        "name": DATASET, "config": "food", "split": "test", "revision": opinions[1],
        "columns": {"messages": "prompt", "options": "answers", "probabilities": "shares"},
    }  # fmt: skip
    assert [item["target"] for item in report["alignment"]["opinions"]["items"]] == [[0.75, 0.25]] * 3
    writer = HfApi(hub.url, token=hub.write_token)
    writer.create_repo("org/base")
    writer.upload_folder(repo_id="org/base", folder_path=model)
    python(
        "-m", "spectrum_suite", "push", "model", tmp_path / "tuned", "--repo_id", "org/tuned",
        "--base_model", "org/base", "--license", "mit",
        "--license_link", "https://example.org/mit", "--report", tmp_path / "out/report.json",
        token=hub.write_token,
    )  # fmt: skip
    api = HfApi(hub.url, token=hub.read_token)
    card = ModelCard(Path(api.hf_hub_download("org/tuned", "README.md", cache_dir=tmp_path / "cache")).read_text())
    assert card.data.datasets == [DATASET]
    shown = f"[`{DATASET}`](https://huggingface.co/datasets/{DATASET}), configuration `music`, split `train` at commit"
    assert f"| {shown} `{opinions[1][:12]}` | 3 |" in card.text
    assert "Spectrum Suite](" not in card.text
    (score, _) = card.data.eval_results
    assert (score.dataset_type, score.dataset_config, score.dataset_split) == (DATASET, "food", "test")
    published = json.loads(
        Path(api.hf_hub_download("org/tuned", "training_report.json", cache_dir=tmp_path)).read_text()
    )
    assert (published["suite"], published["dataset"]["revision"]) == (DATASET, opinions[1])
