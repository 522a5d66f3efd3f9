"""What the benchmark of the rules runs and compares, on a tiny model."""

import json

import pytest

from benchmarks import rule_adapter_cost
from tests.tiny_models import save_model


def test_ratios_by_hand():
    seconds = {
        "plain": [(2.0, 1.0), (1.0, 4.0), (4.0, 2.0)],
        "adapter": [(2.2, 1.5), (1.0, 4.4), (8.0, 2.6)],
        "cacheless": [(30.0, 8.0), (20.0, 9.0), (40.0, 8.0)],
    }
    found = rule_adapter_cost.compare(seconds)
    assert [found[way]["ratio"] for way in rule_adapter_cost.WAYS] == [1, 1.1, 15]
    assert [found[way]["cpu_ratio"] for way in rule_adapter_cost.WAYS] == [1, 1.3, 4]
    assert [found[way]["seconds_per_token"] for way in rule_adapter_cost.WAYS] == [2, 2.2, 30]
    assert found["plain"]["cpu_seconds_per_token"] == 2


def test_the_whole_of_it(tokenizer_of, tmp_path, monkeypatch, capsys):
    model = save_model(tmp_path / "model", tokenizer_of("llama3"))
    output = tmp_path / "results.json"
    options = ["--tokens", "3", "12", "--repeats", "2", "--passes", "4", "--json"]
    monkeypatch.setattr("sys.argv", ["rule_adapter", "--model", str(model), *options, "--output", str(output)])
    rule_adapter_cost.main()
    found = json.loads(output.read_text())
    assert json.loads(capsys.readouterr().out) == found
    for count in ("3", "12"):
        assert set(found[count]) == set(rule_adapter_cost.WAYS)
        assert found[count]["plain"]["ratio"] == 1
        assert found[count]["adapter"]["turns"] == {"3": 8, "12": 2}[count]
        assert found[count]["cacheless"]["seconds_per_token"] > 0


def test_a_response_that_ends_early_is_no_measurement(tokenizer_of):
    class Short:
        def generate(self, ids, **options):
            return ids

    ids = tokenizer_of("llama3")("a", return_tensors="pt").input_ids
    with pytest.raises(RuntimeError, match="0 tokens were generated, not 5"):
        rule_adapter_cost.generating(Short(), ids, 5, None)
