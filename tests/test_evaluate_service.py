"""The command on a chat service of known distribution: the numbers are right, and no interruption costs anything."""

import json
import math

import pytest

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.lm import client as client_module
from tests.chat_server import REASONING, chatting
from tests.systemone_server import deciding
from tests.test_evaluate_model import KEY
from tests.tiny_models import COLORS, save_suite

N = 200


def answers(messages):
    """In the words of models that chat: 60% of the first option in a form that counts, and 10% of nothing that does."""
    if "color" not in json.dumps(messages):
        return {"4": 0.5, "5.": 0.5}
    return {"red": 0.3, "**Red**": 0.2, '"red."': 0.1, "blue": 0.3, "rouge": 0.04, "": 0.02, "I'm sorry, no.": 0.04}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return save_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(client_module, "_SHORTEST_PAUSE_S", 0.01)


@pytest.fixture
def command(suite, tmp_path):
    """Runs the command in this process on a service; returns its report."""

    def evaluate(server, output="out", **options):
        fixed = {"endpoint": server.url, "api": "chat", "suite": suite, "output": tmp_path / output}
        fixed |= {"desiderata": "alignment", "estimate": "samples", "n": N}
        words = [word for name, value in (fixed | options).items() for word in (f"--{name}", *str(value).split())]
        evaluate_model.run(evaluate_model.read(words))
        return read_report(tmp_path / output)

    return evaluate


def test_a_report_from_samples(command, tmp_path):
    with chatting(answers) as server:
        report = command(server)
    assert report["model"]["name"] == report["settings"]["endpoint"]["model"] == "tiny"
    assert report["settings"]["endpoint"] == {"url": server.url, "model": "tiny", "api": "chat"}
    assert report["settings"]["estimate"] == "samples"
    assert report["settings"]["format"] == "chat service"  # not the format of that name
    assert report["settings"]["system_prompt"].startswith("You give answers")
    assert report["service"]["usage"]["requests"] == len(server.served)
    for item in report["alignment"]["colors"]["items"]:
        shares = dict(zip(item["options"], item["probabilities"], strict=True))
        for option, share in (("red", 0.6 / 0.9), ("blue", 0.3 / 0.9)):
            assert abs(shares[option] - share) < 4 * math.sqrt(share * (1 - share) / (0.9 * N))
    coverage = report["alignment"]["colors"]["model"]["coverage"]["mean"]
    assert abs(coverage - 0.9) < 4 * math.sqrt(0.09 / (N * len(COLORS)))
    assert "served as tiny" in (tmp_path / "out" / "report.md").read_text()


def test_faults_move_no_number(command):
    faults = {5: "500", 9: "cut", 12: "json", 13: "html", 21: "429", 30: "stall"}
    with chatting(answers) as server:
        right = command(server, "right")
    with chatting(answers, faults=faults, wait_s=0.05, stall_s=1.0) as server:
        report = command(server, "faults", timeout=0.5, concurrency=4)
        bodies = [json.dumps(body) for body in server.served]
        assert len(bodies) - len(set(bodies)) <= 1  # the one that stalled may have been answered when nobody waited
    for task in ("colors", "dice"):
        assert report["alignment"][task]["items"] == right["alignment"][task]["items"]


def test_a_run_that_is_interrupted_asks_nothing_again(command, tmp_path):
    with chatting(answers) as server:
        report = command(server)
        asked = len(server.served)
        for path in (tmp_path / "out" / "tasks").glob("*.json"):
            path.unlink()
        again = command(server)
        assert len(server.served) == asked
        assert again["alignment"]["colors"]["items"] == report["alignment"]["colors"]["items"]
        command(server, n=N + 16)
        assert len(server.served) == asked + len(COLORS) + 1  # a request an item


def test_reasoning_is_counted_where_it_cannot_be_turned_off(command):
    with chatting(answers, reasons="content") as server:
        report = command(server, tasks="dice", n=20)
    assert report["service"]["manner"]["reasons"]
    assert server.served[-1]["max_tokens"] > 1000
    assert report["alignment"]["dice"]["model"]["coverage"]["mean"] == 1
    assert REASONING not in json.dumps(report)


def test_a_dry_run_asks_nothing_and_leaves_nothing(command, tmp_path, caplog):
    caplog.set_level("INFO")
    with chatting(answers) as server:
        with pytest.raises(UserError, match="not found"):
            command(server, model="tiny", dry_run="True", price="0.5 1.5")
        assert not server.requests
        assert f"for {N * (len(COLORS) + 1):,} answers (0 more are kept)" in caplog.text
        assert "at these prices" in caplog.text
        assert not (tmp_path / "out" / "answers.sqlite").exists()


TOSSES = [
    {
        "id": f"tosses/{row}",
        "process": "p",
        "messages": [
            {"role": "description", "content": "Tosses of a coin."},
            *({"role": "output", "content": side} for side in ("Heads", "Tails", "Heads")),
        ],
        "options": [["Heads", "Tails"]],
        "source": "coins",
        "n_outputs": 3,
    }
    for row in range(40)
]


def after(messages):
    """Certain of what came before, and of nothing where nothing did."""
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    return {said[-1]: 0.8, "It landed on its side": 0.2} if said else {"Heads": 0.5, "tails.": 0.5}


def test_steerability_over_chat_is_the_accuracy_of_answers(command, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    suite = save_suite(tmp_path / "suite", tosses=TOSSES)
    with chatting(after) as server:
        report = command(server, suite=suite, desiderata="steerability", n=5)
        again = command(server, "again", suite=suite, desiderata="steerability", n=5, compare=tmp_path / "out", seed=7)
    section = report["steerability"]["tosses"]
    assert section["by_k"]["k"] == [0, 1, 2]
    right, *others = section["by_k"]["accuracy"]
    assert right == pytest.approx(0.5, abs=4 * 0.5 / (200**0.5))  # 40 sequences of 5 answers
    assert others == [0, 0]  # it repeats what was said, and the coin does not
    assert section["summary"]["loss"] is section["summary"]["ece"] is None
    assert section["ci95"]["ece"] == [None, None]
    assert section["summary"]["accuracy"] == 0
    assert section["not_measured"].keys() == {"loss", "loss_per_token", "ece"}
    assert "tosses: loss is not measured: the loss needs the log-probabilities of given texts" in caplog.text
    text = (tmp_path / "out" / "report.md").read_text()
    assert "accuracy is the share of 5 answers to each output that is the true one" in text
    assert "mean of 1 steerability task**" in text
    assert again["comparison"]["steerability"]["tosses"]["accuracy"]["difference"] == 0


def test_what_cannot_be_measured_over_chat_is_said_part_by_part(command, caplog, tmp_path):
    tales = [
        {"id": f"tales/{row}", "process": "p", "source": "tales", "n_outputs": 2, "messages": [
            {"role": "output", "content": f"Tale {row}"}, {"role": "output", "content": f"Story {row}"},
        ]}
        for row in range(3)
    ]  # fmt: skip
    suite = save_suite(tmp_path / "suite", colors=COLORS, tales=tales)
    with chatting(answers) as server:
        with pytest.raises(SystemExit) as ended:
            command(server, suite=suite, desiderata="alignment steerability", n=10)
        assert ended.value.code == 1
    assert "not measured: tales (steerability)" in caplog.text
    assert "needs the log-probabilities of given texts" in caplog.text
    report = read_report(tmp_path / "out")
    assert report["alignment"]["colors"]["n"] == len(COLORS)
    assert not report["steerability"]


def test_alignment_by_log_probabilities_is_refused_with_what_to_do(command):
    with chatting(answers) as server:
        with pytest.raises(UserError, match="--estimate samples"):
            command(server, estimate="logprobs")
        assert not server.requests[1:]


def test_coverage_over_chat(command):
    with chatting(lambda _: {"A": 0.5, "b.": 0.3, "Sure! Here is one: C": 0.2}) as server:
        report = command(server, desiderata="coverage", generations=100)
    sections = report["coverage"]["letters"]
    assert sections.keys() == {"description", "examples", "both"}
    for section in sections.values():
        assert section["n"] == 100


def test_the_key_is_in_no_log_file_or_report(command, monkeypatch, tmp_path, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def telling(messages):
        return {"red": 0.5, KEY: 0.5}  # a service that repeats what it was told

    with chatting(telling, key=KEY) as server:
        command(server, n=20, tasks="colors")
        assert all(body for body in server.served)
        server.key = "another"
        with pytest.raises(UserError, match="wants a key") as refused:
            command(server, "other", n=20)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"***" in written
    assert KEY.encode() not in written
    assert KEY not in caplog.text
    assert KEY not in str(refused.getrepr(style="long"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"api": "soap"}, "no API 'soap': there are completions, chat, systemone"),
        ({"format": "colon"}, "--format is for a model whose tokenizer is here"),
        ({"as_text": "True"}, "--as_text is for --api completions"),
        ({"price": "1 2"}, "--price is for --dry_run"),
        ({"dry_run": "True", "price": "1"}, "--price takes two numbers"),
        ({"concurrency": 0}, "--concurrency is 0"),
        ({"timeout": 0}, "--timeout is 0"),
        ({"device": "cpu"}, "--device is for a model that is loaded here"),
        ({"adapter_scale": "0.5"}, "--adapter_scale is for an adapter"),
    ],
)
def test_mistakes_cost_nothing(change, message, command):
    with chatting(answers) as server:
        with pytest.raises(UserError, match=message):
            command(server, **change)
        assert not server.requests


@pytest.mark.parametrize("option", ["thinking", "dry_run", "system_prompt"])
def test_what_is_for_chat_alone(option, command):
    with chatting(answers) as server, pytest.raises(UserError, match=f"--{option} is for --api chat"):
        command(server, api="completions", model="a/b", estimate="logprobs", **{option: "True"})


def test_the_first_tokens_tell_the_options_apart(command, caplog):
    """Of five-letter pieces at most four letters are a token: "dark blue" and "red" begin with their own."""
    caplog.set_level("INFO")
    with chatting(lambda _: {"red": 0.4, "blue": 0.2, "Dark blue": 0.1, "rouge": 0.3}) as server:
        report = command(server, estimate="top_logprobs", tasks="colors")
        assert [body["max_tokens"] for body in server.served[2:]] == [1] * len(COLORS)  # after two small questions
        shares = {"red": 4 / 7, "blue": 2 / 7, "dark blue": 1 / 7}
        for item in report["alignment"]["colors"]["items"]:
            assert item["probabilities"] == pytest.approx([shares[option] for option in item["options"]])
            assert item["scores"]["coverage"] == pytest.approx(0.7)
        assert report["alignment"]["colors"]["bounds"]["exact"] == len(COLORS)
        asked = len(server.requests)
        command(server, "again", estimate="top_logprobs", tasks="colors")
        assert len(server.requests) == 2 * asked


def test_what_first_tokens_leave_open_has_bounds(command, caplog):
    caplog.set_level("INFO")
    with chatting(lambda _: {"red": 0.5, "blue": 0.3, "dark blue": 0.2}, tells=2) as server:
        report = command(server, estimate="top_logprobs", tasks="colors")
    section = report["alignment"]["colors"]
    assert section["refused"] == {"not distinguished by the likeliest first tokens": len(COLORS)}
    assert section["model"]["js_divergence"]["mean"] is None
    low, high = section["bounds"]["js_divergence"]
    assert low == pytest.approx(0, abs=1e-6)  # the service is as the truth, if what is missing is the third color
    assert 0 < high < 0.1
    assert "0 of 5 items exact" in caplog.text


def test_a_service_without_log_probabilities(command):
    message = "reports no log-probabilities of likely tokens: use --estimate samples"
    with chatting(answers, takes_logprobs=0) as server, pytest.raises(UserError, match=message):
        command(server, estimate="top_logprobs", tasks="colors")


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        ("systemone", "is for --api systemone"),
        ("logprobs", "--estimate samples"),
        ("sequence", "no answer is an option"),
    ],
)
def test_ways_that_a_chat_service_does_not_have(estimate, message, command):
    with chatting(answers) as server, pytest.raises(UserError, match=message):
        command(server, estimate=estimate, tasks="colors")


def test_a_decision_service_from_the_command_line(command):
    def shares(_, names):
        return [0.5, 0.3, 0.2] if len(names) == 3 else [1 / 6] * 6

    with deciding(shares, mass=0.8) as server:
        report = command(server, api="systemone", estimate="systemone")
        assert len(server.requests) == len(COLORS) + 1
    assert report["model"]["name"] == "decider"
    section = report["alignment"]["colors"]["model"]
    assert section["js_divergence"]["mean"] == pytest.approx(0, abs=1e-9)
    assert section["coverage"]["mean"] == pytest.approx(0.8)
    with deciding(shares) as server, pytest.raises(UserError, match="a decision service writes no text"):
        command(server, "other", api="systemone", estimate="samples")
