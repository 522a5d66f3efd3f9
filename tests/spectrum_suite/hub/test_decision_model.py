"""A model is tuned on the prompt that vLLM sends, merged, and published as a decision model."""

import json
from copy import deepcopy

import pytest
from huggingface_hub import ModelCard

from spectrum_suite.decisions.decide import Reader
from spectrum_suite.decisions.prompts import LabelPrompts
from spectrum_suite.decisions.report import answer_rows, decisions_report
from spectrum_suite.decisions.rows import load_decisions, target_rows
from spectrum_suite.formats.model_chat import model_chat_format
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.hub import card_decisions
from spectrum_suite.hub.cards import DECISION_TAGS
from spectrum_suite.hub.model import ModelOptions, model_card, model_publication
from spectrum_suite.lm.calibration_file import CALIBRATION
from spectrum_suite.models import find_model, load_for_scoring
from spectrum_suite.training.targets import tokenize_targets
from tests.spectrum_suite.architectures import tiny
from tests.spectrum_suite.decisions.decision_rows import ROWS, write_lines
from tests.tiny_models import QWEN3_CHAT
from tests.train_command import COMMON

pytestmark = pytest.mark.hub

NAME = "org/decider"
OPTIONS = ModelOptions(without_report=True, base_model="org/base")


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    tokenizer = deepcopy(tokenizer_of("qwen"))
    tokenizer.chat_template = QWEN3_CHAT
    return tokenizer


@pytest.fixture(scope="module")
def base(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    tiny("qwen3", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Without the questions that are answered by yes or no, which are several tokens in so small a vocabulary."""
    rows = deepcopy(ROWS)
    del rows[0]["questions"]["human"], rows[0]["gold"]["human"]
    return write_lines(tmp_path_factory.mktemp("data") / "typed.jsonl", rows)


@pytest.fixture
def tuned(train, base, data, tmp_path):
    command = ["--model_name_or_path", base, "--output_dir", tmp_path / "tuned", *COMMON, "--objective", "distribution",
               "--data", data, "--data_split", "test", "--read", "labels", "--format", "model_chat", "--merge", "true",
               "--max_steps", "20", "--learning_rate", "1e-2", "--max_length", "400"]  # fmt: skip
    code, error = train(*command)
    assert code == 0, error
    return tmp_path / "tuned"


def test_rows_have_the_tokens_that_are_asked_about(tokenizer, data):
    rows = load_decisions(str(data))
    text_format = model_chat_format(tokenizer, system="")
    start = token_encoder(tokenizer, text_format)([text_format.bos])[text_format.bos]
    tokenized, _ = tokenize_targets(target_rows(rows, "labels"), tokenizer, text_format, max_length=1000, draws=1)
    prompts = LabelPrompts(tokenizer)
    asked = [(row.state, question) for row in rows for question in row.questions]
    assert len(tokenized) == len(asked)
    for row, (state, question) in zip(tokenized, asked, strict=True):
        (item,) = prompts.tokenized(state, question, [tuple(range(len(question.options)))], None)
        assert (*start, *row["contexts"][-1]) == item.prompt
        assert [tuple(option[:1]) for option in row["options"]] == list(item.options)


def kl_by_labels(folder, data):
    model, tokenizer = load_for_scoring(str(folder), device="cpu")
    rows = load_decisions(str(data))
    return decisions_report(rows, answer_rows(model, Reader.of(tokenizer, read="labels"), rows, batch_size=8))["model"][
        "kl_from_gold"
    ]


def test_what_was_trained_is_read_from_the_merged_model(tuned, base, data):
    assert kl_by_labels(tuned / "merged", data) < 0.7 * kl_by_labels(base, data)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--format", "chat"], "--read labels asks in the model's own chat template: give --format model_chat"),
        (["--data"], "--read labels is for rows of decisions"),
    ],
)
def test_labels_are_for_decisions_in_the_models_own_template(train, base, data, small_suite, tmp_path, options, line):
    given = [] if options == ["--data"] else ["--data", data, *options]
    command = ["--model_name_or_path", base, "--suite", small_suite, "--output_dir", tmp_path / "run", *COMMON]
    code, error = train(*command, "--objective", "distribution", "--read", "labels", *given)
    assert code == 2
    assert line in error


def test_a_card_says_how_it_decides_and_where(tuned, tmp_path):
    card = model_card(tuned, NAME, ModelOptions(without_report=True, base_model="org/base", merge=True))
    assert {*DECISION_TAGS} <= {*card.data.tags}
    assert f"spectrum-suite serve {NAME} --read labels" in card.text
    assert "`Qwen3ForCausalLM` among the architectures whose decisions it serves" in card.text
    assert "| `typed` | 3 |" in card.text
    assert "Temperatures" not in card.text


def test_nothing_is_promised_of_other_architectures(tuned, monkeypatch):
    monkeypatch.setattr(card_decisions, "_architecture", lambda _: "LlamaForCausalLM")
    card = model_card(tuned, NAME, ModelOptions(without_report=True, base_model="org/base", merge=True))
    assert "vLLM is not promised to serve its decisions: `LlamaForCausalLM` is not among" in card.text
    assert "vllm serve" not in card.text


def test_its_temperatures_are_published(tuned, tmp_path):
    files = find_model(str(tuned))
    content = {
        "schema_version": 1,
        "model": {"name": str(tuned), "fingerprint": files.fingerprint(), "format": "model_chat", "conditions": {}},
        "kinds": {
            "letters": {"temperature": {"value": 1.25, "se": 0.125}, "position": None},
            "polar": {"temperature": {"value": 1.0, "se": None}, "position": None},
        },
    }
    (tuned / CALIBRATION).write_text(json.dumps(content))
    found = model_publication(tuned, NAME, OPTIONS, tmp_path / "scratch")
    card = ModelCard(found.card)
    assert "| letters | 1.250 ± 0.125 |" in card.text
    assert "| polar | 1.000 |" in card.text
    (kept,) = [file for file in found.files if file.name == CALIBRATION]
    assert json.loads(kept.source)["kinds"] == content["kinds"]
    assert str(tmp_path) not in kept.source.decode()
