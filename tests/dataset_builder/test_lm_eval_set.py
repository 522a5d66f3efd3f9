"""Distribution tasks as tasks of lm-evaluation-harness: the files, and our numbers where it is installed."""

import json

import pytest
import torch
import yaml
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items

from dataset_builder.build import BuildOptions, build
from dataset_builder.export import export
from dataset_builder.lm_eval_set import LM_EVAL, _one_begins_another
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.suite import task_rows
from tests.tiny_models import save_llama

TASKS = ["dist_urn", "dist_train_shares"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("exports") / "lm-eval"
    rows, left_out = export(LM_EVAL, [*TASKS, "dist_binomial", "geometric"], BuildOptions(found, max_rows=4))
    assert rows == {"dist_train_shares": 4, "dist_urn": 4}
    reason = "it does not have a distribution over answers that do not begin one another"
    assert left_out == {"dist_binomial": reason, "geometric": reason}  # 1 begins 10; draws are no distribution
    return found


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    found = tmp_path_factory.mktemp("exports") / "suite"
    build(TASKS, BuildOptions(found, max_rows=4))
    return str(found)


def test_prompts_are_those_of_plain_text(folder, suite, tokenizer_of):
    plain = get_format("colon", tokenizer_of("chatml"))
    for task in TASKS:
        rows = [json.loads(line) for line in (folder / "rows" / f"{task}.jsonl").read_text().splitlines()]
        for row, built in zip(rows, task_rows(suite, task), strict=True):
            assert row["prompt"] == plain.prompt(built["messages"])
            assert row["choices"] == [plain.option(option) for option in built["options"]]
            assert row["probabilities"] == built["probabilities"]
            assert row["label"] == max(range(len(row["choices"])), key=row["probabilities"].__getitem__)


def test_a_task_names_what_the_harness_calls(folder):
    class Loader(yaml.SafeLoader):
        """Takes the name of a function as a text."""

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    task = yaml.load((folder / "dist_urn.yaml").read_text(), Loader)  # noqa: S506 - it is a safe one
    assert (task["task"], task["tag"], task["output_type"]) == ("spectrum_dist_urn", "spectrum", "multiple_choice")
    assert task["process_results"] == "spectrum_functions.scores"
    assert {metric["metric"]: metric["higher_is_better"] for metric in task["metric_list"]} == {
        "js_divergence": False, "total_variation": False, "brier": False, "mode_match": True, "coverage": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["1", "10"], True), (["a", "b", "ab c"], True), (["red", "dark red"], False), (["b", "a"], False)],
)
def test_options_that_begin_one_another_are_found(options, expected):
    assert _one_begins_another(options) is expected


def test_tasks_without_a_distribution_are_refused(tmp_path):
    with pytest.raises(UserError, match="none of these tasks has a distribution over answers"):
        export(LM_EVAL, ["geometric"], BuildOptions(tmp_path / "out", max_rows=2))


@pytest.mark.parametrize("name", ["chatml", "llama3"])
def test_the_harness_gives_our_numbers(folder, suite, tokenizer_of, tmp_path, name):
    lm_eval = pytest.importorskip("lm_eval", reason="install lm_eval to run it")
    models, tasks = map(pytest.importorskip, ("lm_eval.models.huggingface", "lm_eval.tasks"))
    tokenizer = tokenizer_of(name)
    model_folder = save_llama(tmp_path / "model", tokenizer)
    model = models.HFLM(str(model_folder), device="cpu", dtype="float32", add_bos_token=name == "llama3", batch_size=2)
    names = [f"spectrum_{task}" for task in TASKS]
    manager = tasks.TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(model, tasks=names, task_manager=manager, log_samples=True, bootstrap_iters=0)
    for task, known in zip(TASKS, names, strict=True):
        rows = task_rows(suite, task)
        plain = get_format("colon", tokenizer)
        expected = option_logprobs(model.model, tokenizer, rows["messages"], rows["options"], text_format=plain)
        samples = sorted(found["samples"][known], key=lambda sample: sample["doc_id"])
        theirs = [torch.tensor([float(each[0]) for each in sample["filtered_resps"]]) for sample in samples]
        for mine, other in zip(expected, theirs, strict=True):
            torch.testing.assert_close(other, mine, rtol=0, atol=1e-4)
        scores = score_items(rows["probabilities"], expected, prediction_type="log_probabilities", smoothing=1e-6)
        for metric in ("js_divergence", "total_variation", "mode_match", "coverage"):
            assert found["results"][known][f"{metric},none"] == pytest.approx(scores[metric].mean(), abs=1e-6)
