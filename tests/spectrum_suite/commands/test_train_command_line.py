"""The command line of `train_sft.py`: read without `torch`, and every mistake is one line."""

import os
import subprocess
import sys
import time

import pytest
import yaml
from trl import TrlParser

from spectrum_suite.commands import train as command_line
from spectrum_suite.commands.train import option_classes, read_command_line
from spectrum_suite.commands.training_run import settings_of
from spectrum_suite.errors import UserError
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.dataclass_sources import LATER, Unreadable, read_dataclass
from tests.train_command import REPOSITORY

MODEL = ["--model_name_or_path", "some/model"]


def actions(parser):
    return {action.option_strings[0]: action for action in parser._actions if action.option_strings}


def test_the_options_are_those_of_the_classes():
    read, real = (
        actions(TrlParser(classes))
        for classes in (option_classes(), (SpectrumArguments, TuningConfig, AdaptationConfig))
    )
    assert read.keys() == real.keys()
    assert len(read) > 150
    for name, action in real.items():
        mine = read[name]
        for part in ("option_strings", "dest", "nargs", "const", "help"):
            assert getattr(mine, part) == getattr(action, part), name
        assert mine.choices in (action.choices, None), name
        if mine.default is not LATER:
            assert mine.default == action.default, name
        if getattr(action.type, "__module__", "builtins") == "builtins" and "dict" not in str(action.type):
            assert mine.type == action.type, name
    later = {name for name, action in read.items() if action.default is LATER}
    assert later <= {"--optim", "--bf16"}  # what is decided when the classes are imported


def test_only_what_was_given_reaches_the_classes(tmp_path):
    given = read_command_line([*MODEL, "--learning_rate", "1e-3", "--permute", "false", "--tasks", "a", "b=3"])
    assert given == {
        "model_name_or_path": "some/model", "learning_rate": 1e-3, "permute": False, "tasks": ["a", "b=3"],
    }  # fmt: skip
    arguments, config, adaptation = settings_of(given | {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False})
    assert (arguments.tasks, arguments.permute, config.learning_rate) == (["a", "b=3"], False, 1e-3)
    assert adaptation.load_in_4bit  # its default is computed


def recipe(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return ["--config", str(path)]


def test_a_recipe_is_read_like_the_words_of_a_command(tmp_path):
    text = """
model_name_or_path: some/model
tasks: coinflip
data: []
learning_rate: 1e-3
permute: no
save_strategy: no
lr_scheduler_kwargs: {power: 3}
rows:
"""
    given = read_command_line([*recipe(tmp_path, text), "--tasks", "a", "b", "--permute", "true"])
    assert given == {
        "model_name_or_path": "some/model", "tasks": ["a", "b"], "data": [], "learning_rate": 1e-3, "permute": True,
        "save_strategy": "no", "lr_scheduler_kwargs": '{"power": 3}', "rows": None,
    }  # fmt: skip
    assert read_command_line(recipe(tmp_path, text))["tasks"] == ["coinflip"]


def test_a_recipe_sets_environment_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECTRUM_TEST", "before")
    read_command_line([*recipe(tmp_path, "env: {SPECTRUM_TEST: 3}"), *MODEL])
    assert os.environ["SPECTRUM_TEST"] == "3"


RECIPES = {
    "not YAML": ("tasks: {a", "recipe.yaml:1: not YAML, expected ',' or '}'"),
    "no mapping": ("- a\n- b", "does not hold names with values"),
    "empty": ("", "does not hold names with values"),
    "unknown": ("lerning_rate: 1", "'lerning_rate' is not an option, did you mean 'learning_rate'?"),
    "number": ("3: 4", "3 is not an option"),
    "renamed": ("begin_with: x", "'begin_with' is not an option any more, but --adapter_name_or_path is"),
    "list": ("learning_rate: [1, 2]", "learning_rate takes one value, and not [1, 2]"),
    "mapping": ("seed: {a: 1}", 'seed takes one value, and not {"a": 1}'),
    "list of lists": ("tasks: [[a]]", 'tasks takes one value, and not ["a"]'),
    "nothing": ("seed:", "seed is empty: give a value"),
    "text": ("seed: many", "argument --seed: invalid int value: 'many'"),
    "fraction": ("max_steps: 1.5", "argument --max_steps/--max-steps: invalid int value: '1.5'"),
    "bool": ("permute: perhaps", "argument --permute"),
    "choice": ("dtype: float8", "argument --dtype: invalid choice: 'float8'"),
    "negative": ("learning_rate: -1", "--learning_rate is -1.0: give a number of at least 0"),
    "NaN": ("learning_rate: .nan", "--learning_rate nan is not a finite number"),
    "infinite": ("weight_decay: .inf", "--weight_decay inf is not a finite number"),
    "no rank": ("lora_r: 0", "--lora_r is 0: give a number of at least 1"),
    "no probability": ("branching: 1.5", "--branching is 1.5: give a number from 0 to 1"),
    "no share": ("lora_dropout: 1", "--lora_dropout is 1.0: give a number from 0 to below 1"),
    "no steps": ("max_steps: 0", "--max_steps is 0: give a number of at least 1"),
    "no length": ("max_length: null", "max_length is empty"),
    "environment": ("env: [a]", "'env' is ['a']: give names of environment variables"),
}


@pytest.mark.parametrize("case", RECIPES)
def test_a_mistake_in_a_recipe_is_one_line(tmp_path, case):
    text, message = RECIPES[case]
    with pytest.raises(UserError) as raised:
        read_command_line([*recipe(tmp_path, text), *MODEL])
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_recipe_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("tasks: caf\xe9".encode("latin-1"))
    for words, message in [
        (["--config", str(tmp_path / "nosuch.yaml")], "cannot be read (No such file or directory)"),
        (["--config", str(tmp_path)], "cannot be read (Is a directory)"),
        (["--config", str(tmp_path / "latin.yaml")], "is not text in UTF-8"),
        (["--config"], "--config needs the path of a YAML file of options"),
        (["--config", "a", "--config", "b"], "--config is given twice"),
        (["--lerning_rate", "1"], "'--lerning_rate' is not an option, did you mean 'learning_rate'?"),
        (["--learning_rate", "x"], "invalid float value: 'x'"),
        (["stray"], "'stray' is not an option"),
        (["--begin-with", "x"], "'--begin-with' is not an option any more, but --adapter_name_or_path is"),
        ([], "no model given"),
    ]:
        with pytest.raises(UserError) as raised:
            read_command_line(words)
        assert message in str(raised.value)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("**/*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_is_read(path):
    entries = yaml.safe_load(path.read_text())
    if "model_name_or_path" not in entries:
        pytest.skip("a recipe of another command")
    given = read_command_line(["--config", str(path)])
    assert given.keys() == entries.keys()


def test_a_class_whose_source_is_other_than_expected_is_imported(monkeypatch):
    with pytest.raises(Unreadable):
        read_dataclass("X", [("trl.trainer.sft_config", "SFTConfig")])  # its base class is not named
    with pytest.raises(Unreadable):
        read_dataclass("X", [("trl.trainer.nosuch", "SFTConfig")])
    monkeypatch.setattr(command_line, "CHAINS", {"X": [("trl.trainer.nosuch", "SFTConfig")]})
    assert option_classes() == (SpectrumArguments, TuningConfig, AdaptationConfig)


@pytest.mark.parametrize(
    "words", [["--help"], ["--learning_rate", "x"], ["--config", "nosuch.yaml"], ["--lora_r", "0"]]
)
def test_help_and_mistakes_import_nothing_heavy(words):
    code = "import runpy, sys\ntry:\n    runpy.run_path('train_sft.py', run_name='__main__')\nfinally:\n"
    code += "    sys.stderr.write(' '.join({'torch', 'transformers', 'datasets'} & sys.modules.keys()) + '.')"
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.returncode == (0 if words == ["--help"] else 2)
    assert run.stderr.rstrip().endswith(".")
    assert "torch" not in run.stderr
    assert ("--turn_tokens" in run.stdout) == (words == ["--help"])
    assert time.monotonic() - started < 10  # a loaded machine; the import of torch alone would take longer there
