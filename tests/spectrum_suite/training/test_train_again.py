"""`train_sft.py` a second time into the same folder: finished, interrupted, or with other settings."""

import json
import shutil
from dataclasses import fields

import pytest
from filelock import FileLock

from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.arguments import TuningConfig
from spectrum_suite.training.options import HARMLESS, REFUSED
from spectrum_suite.training.output_folder import LOCK, RUN
from tests.train_command import arguments, report_of

STEPS = ["--tasks", "coinflip", "--save_strategy", "steps", "--save_steps", "1", "--max_steps", "2"]


@pytest.fixture(scope="module")
def finished(model_folder, small_suite, tmp_path_factory):
    """The folder of a finished run, and the command that made it."""
    with pytest.MonkeyPatch.context() as patch:
        from tests.train_command import arguments, run_train  # noqa: PLC0415

        output = tmp_path_factory.mktemp("again") / "run"
        command = arguments(model_folder("chatml"), small_suite, output, *STEPS)
        assert run_train(patch, Silent(), command)[0] == 0
    return output, command


class Silent:
    """In place of pytest's capture, which is a test's and not a module's."""

    def readouterr(self):
        return self

    err = ""


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_finished_run_is_left_as_it_is(train, finished, caplog):
    output, command = finished
    before = contents(output)
    with caplog.at_level("INFO"):
        code, error = train(*command)
    assert code == 0, error
    assert "has the result of this very run: nothing is trained again" in caplog.text
    assert contents(output) == before


def test_a_finished_run_is_merged_when_that_is_asked_for(train, finished, tmp_path):
    output, command = finished
    shutil.copytree(output, tmp_path / "run")
    moved = [str(tmp_path / "run") if word == str(output) else word for word in command]
    code, error = train(*moved, "--merge", "true")
    assert code == 0, error
    assert (tmp_path / "run" / "merged" / "model.safetensors").is_file()
    assert (tmp_path / "run" / "training_report.json").read_bytes() == (output / "training_report.json").read_bytes()


def test_a_resumed_run_counts_all_its_sessions(train, finished, tmp_path, caplog):
    output, command = finished
    shutil.copytree(output, tmp_path / "run")
    for name in ("checkpoint-2", ".spectrum_run", "training_report.json"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    manifest = tmp_path / "run" / "checkpoint-1" / "spectrum_run.json"
    kept = json.loads(manifest.read_text())
    assert 0 < kept["seconds"] < 600
    manifest.write_text(json.dumps(kept | {"seconds": 1000.0}))
    moved = [str(tmp_path / "run") if word == str(output) else word for word in command]
    with caplog.at_level("INFO"):
        code, error = train(*moved)
    assert code == 0, error
    assert f"resumed from {tmp_path / 'run' / 'checkpoint-1'}" in caplog.text
    straight, resumed = report_of(output), report_of(tmp_path / "run")
    assert (straight["sessions"], resumed["sessions"]) == (1, 2)
    assert 1000 < resumed["seconds"] < 1600
    assert resumed["train_loss"] == pytest.approx(straight["train_loss"], rel=1e-5)
    for name in ("trained_tokens", "seen_tokens", "run_tokens", "steps"):
        assert resumed[name] == straight[name]
    losses = [entry["loss"] for entry in straight["log"]]
    tokens = [entry["trained_tokens"] for entry in straight["log"]]
    mean = (losses[0] * tokens[0] + losses[1] * (tokens[1] - tokens[0])) / tokens[1]
    assert straight["train_loss"] == pytest.approx(mean, rel=1e-5)


def test_two_runs_into_one_folder_are_refused(train, finished):
    output, command = finished
    lock = FileLock(output / LOCK)
    with lock:
        code, error = train(*command)
    (output / LOCK).unlink()
    assert code == 2
    assert f"another run is training into '{output}': wait for it, or give another --output_dir" in error


OTHERS = {
    "learning_rate": "0.01", "optim": "sgd", "max_grad_norm": "0.0001", "adam_beta1": "0.5", "adam_beta2": "0.5",
    "adam_epsilon": "0.1", "lr_scheduler_type": "cosine", "lr_scheduler_kwargs": '{"power": 3}', "bf16": "true",
    "neftune_noise_alpha": "50", "packing": "true", "attn_implementation": "eager", "load_in_4bit": "true",
    "weight_decay": "0.1", "seed": "1", "lora_r": "2",
    "lora_alpha": "1", "lora_dropout": "0.5", "lora_target_modules": "q_proj", "lora_target_parameters": "x",
    "use_rslora": "true", "use_dora": "true", "use_peft": "false", "dtype": "bfloat16", "warmup_steps": "1",
    "max_steps": "3", "num_train_epochs": "2", "per_device_train_batch_size": "2", "max_length": "110",
    "gradient_accumulation_steps": "2", "dataloader_drop_last": "true", "branching": "1", "permute": "false",
    "description_dropout": "0", "train_on": "all", "turn_tokens": "keep", "format": "colon",
    "tasks": "described_shares",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_setting_is_another_run(train, finished, name):
    output, command = finished
    before = contents(output)
    code, error = train(*command, f"--{name}", OTHERS[name])
    assert code == 2, error
    assert "is of another run, with " in error
    shown = {"tasks": "rows_fingerprint", "max_length": "max_length"}.get(name, name)
    assert f"with {shown} " in error or name in ("tasks", "format", "use_peft", "train_on")
    assert contents(output) == before


def test_a_run_begins_anew_where_that_is_asked_for(train, finished, tmp_path):
    output, command = finished
    shutil.copytree(output, tmp_path / "run")
    moved = [str(tmp_path / "run") if word == str(output) else word for word in command]
    code, error = train(*moved, "--seed", "5", "--max_steps", "1", "--resume_from_checkpoint", "never")
    assert code == 0, error
    assert (report_of(tmp_path / "run")["steps"], report_of(tmp_path / "run")["sessions"]) == (1, 1)
    assert [path.name for path in sorted((tmp_path / "run").glob("checkpoint-*"))] == ["checkpoint-1"]


@pytest.mark.parametrize("words", [["--logging_steps", "1"], ["--logging_strategy", "no"]])
def test_a_run_that_gives_no_numbers_is_not_saved(train, model_folder, small_suite, tmp_path, words):
    command = arguments(model_folder("chatml"), small_suite, tmp_path / "run", "--tasks", "coinflip", *words)
    code, error = train(*command, "--learning_rate", "1e30", "--max_grad_norm", "0", "--max_steps", "3")
    assert code == 2
    assert "lower --learning_rate" in error.strip().splitlines()[-1]
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()


def test_every_setting_that_may_change_the_weights_is_compared(finished):
    output, _ = finished
    kept = json.loads((output / RUN).read_text()).keys()
    options = {each.name for kind in (TuningConfig, AdaptationConfig) for each in fields(kind) if each.init}
    assert kept >= options - HARMLESS - REFUSED.keys() - {"model_name_or_path"}  # of which the contents are
    assert kept >= {"bnb_4bit_quant_type", "use_bnb_nested_quant", "base_fingerprint", "rows_fingerprint", "processes"}
