"""What does not go with `--engine vllm` is refused before anything is loaded."""

from importlib.util import find_spec

import pytest

from spectrum_suite.commands import evaluate
from spectrum_suite.errors import UserError

WRONG = {
    "no such engine": ({"engine": "sglang"}, "no engine 'sglang': there are local, vllm"),
    "options of the other engine": ({"engine_options": "seed=1"}, "--engine_options is for --engine vllm"),
    "a server": ({"engine": "vllm", "endpoint": "http://localhost:1/v1"}, "leave it out with --endpoint"),
    "rules": ({"engine": "vllm", "rules": "paper"}, "--rules is for --engine local"),
    "four bits": ({"engine": "vllm", "load_in_4bit": "true"}, "--load_in_4bit is for --engine local"),
    "a device": ({"engine": "vllm", "device": "cpu"}, "--device is for --engine local"),
    "no pair": ({"engine": "vllm", "engine_options": "seed"}, "--engine_options 'seed': give a name and what belongs"),
    "no YAML": ({"engine": "vllm", "engine_options": "seed=["}, "a value is no YAML"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_go_with_an_engine_is_refused(given, message, tmp_path):
    options = {"model": "m", "suite": "s", "output": str(tmp_path / "out")} | given
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        evaluate.run(evaluate.read(words))


def test_several_processes_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = ["--model", "m", "--suite", "s", "--engine", "vllm", "--output", str(tmp_path / "out")]
    with pytest.raises(UserError, match="leave 'accelerate launch' out"):
        evaluate.run(evaluate.read(words))


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_the_extra_is_named_where_vllm_is_missing(model_folder, small_suite, capsys, tmp_path):
    words = ["--model", str(model_folder("llama3")), "--suite", str(small_suite), "--engine", "vllm"]
    with pytest.raises(SystemExit) as ended:
        evaluate.main([*words, "--desiderata", "alignment", "--output", str(tmp_path / "out")])
    assert ended.value.code == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last == "error: vllm is not installed: pip install 'spectrum-suite[vllm]'"
