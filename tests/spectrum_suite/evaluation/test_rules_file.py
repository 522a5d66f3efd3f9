"""--rules FILE: weights of the rules from YAML; what it does not name is as in the paper."""

from pathlib import Path

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.generation.rule_adapter import Rules


def rules(folder, text):
    path = folder / "rules.yaml"
    path.write_text(text)
    return EvaluationSettings(model="m", output=Path("x"), rules=str(path)).adapter_rules()


def test_weights_come_from_yaml(tmp_path):
    found = rules(tmp_path, "ending: 3\nwords: {' *': 2}\nrepetition_in: prompt\n")
    assert found == Rules(ending=3, words={" *": 2}, repetition_in="prompt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("endng: 3", r"rules\.yaml:1: no entry 'endng', did you mean 'ending'\?: there are ending, ending_length"),
        ("- 3", "does not hold names with values: give a YAML file of weights"),
        ("ending: much", "'ending' is 'much': give a number"),
        ("words:\n  I: -5\n  ' *': true", r"rules\.yaml:3: ' \*' is True: give a number"),
        ("ending_length: 0", r"rules\.yaml: ending_length is 0: give at least 1"),
        ("ending: 1\nending: 2", r"rules\.yaml:2: 'ending' is given twice"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        rules(tmp_path, text)
