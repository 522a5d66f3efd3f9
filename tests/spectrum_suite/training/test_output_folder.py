"""The folder of a run: held by one at a time, and left as it is where its run is finished."""

import json
import multiprocessing
import os

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.held_folder import check_output
from spectrum_suite.training.output_folder import LOCK, begin, finish, held_for_training, is_finished

SETTINGS = {"learning_rate": 0.1, "tasks": ["a"]}


def test_a_folder_is_held_by_one_run(tmp_path):
    output = tmp_path / "outputs" / "run"
    with held_for_training(output):
        process = multiprocessing.get_context("fork").Process(target=hold_or_exit, args=(output,))
        process.start()
        process.join()
        assert process.exitcode == 7
        assert output.is_dir()
    assert not (tmp_path / "outputs").exists()  # nothing was written
    with held_for_training(output):
        (output / "weights").touch()
    assert os.listdir(output) == ["weights"]  # noqa: PTH208


def hold_or_exit(output):
    try:
        with held_for_training(output):
            os._exit(0)
    except UserError as error:
        os._exit(7 if "another run is training into" in str(error) else 1)


def test_only_the_main_process_holds_it(tmp_path):
    with held_for_training(tmp_path / "run", is_main=False):
        assert not (tmp_path / "run").exists()


def test_a_run_that_failed_leaves_a_folder_free(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError), held_for_training(tmp_path / "run"):
            raise RuntimeError
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"file' is a file: give a folder"):
            check_output(path)
        with pytest.raises(UserError, match="cannot be written"), held_for_training(path):
            pass
    check_output(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()


def test_a_finished_run_is_known_by_its_settings(tmp_path):
    assert not is_finished(tmp_path, SETTINGS)
    finish(tmp_path, {"steps": 3}, SETTINGS)
    assert json.loads((tmp_path / "training_report.json").read_text()) == {"steps": 3}
    assert not is_finished(tmp_path, SETTINGS)  # there are no weights
    (tmp_path / "adapter_model.safetensors").touch()
    assert is_finished(tmp_path, SETTINGS)
    with pytest.raises(UserError, match=r"is of another run, with learning_rate 0.1 and not 0.2: choose another"):
        is_finished(tmp_path, SETTINGS | {"learning_rate": 0.2})
    begin(tmp_path)
    assert not is_finished(tmp_path, SETTINGS)
