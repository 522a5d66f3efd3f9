"""What the playground makes of its fields, and what models answer, next to plain passes of the model."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from spectrum_suite import Samples
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.json_files import write_json
from spectrum_suite.models import find_model
from spectrum_suite.playground import answers as playground
from spectrum_suite.playground.answers import Model, ask, load_models, read_question
from spectrum_suite.playground.page import MOST_WAITING, page
from tests.small_tokenizers import LLAMA3
from tests.tiny_models import save_model, tiny_model

URN = ("A ball is drawn from an urn.", "", "", "red\n\n blue \n")


@pytest.fixture
def model(tokenizer_of):
    tokenizer = tokenizer_of(LLAMA3)
    return Model("base", "tiny", tiny_model("gemma3", len(tokenizer)), tokenizer, get_format("colon", tokenizer))


def test_fields_become_messages():
    question = read_question(" A diner. ", "soup => hot\n\nsalad=>cold", "tea", "hot\ncold")
    assert [(message["role"], message["content"]) for message in question.messages] == [
        ("description", "A diner."),
        ("input", "soup"),
        ("output", "hot"),
        ("input", "salad"),
        ("output", "cold"),
        ("input", "tea"),
    ]
    assert question.options == ("hot", "cold")
    assert [message["role"] for message in read_question("", "Heads\nTails", "", "").messages] == ["output", "output"]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (("", " \n", "", "a"), "there is nothing to ask: write a description or some examples"),
        (("d", "a =>", "", ""), "example 'a =>' has no output: write 'input => output'"),
        (("d", "=> b", "", ""), "example '=> b' has no input: write 'input => output'"),
        (("d", "", "", "a\nb\na"), "option 'a' is written twice: leave one out"),
        (("d", "", "", "\n".join(map(str, range(201)))), "there are 201 options: write at most 200"),
        (("d" * 4001, "", "", ""), "this is more text than the playground takes: use at most 4,000 characters"),
    ],
)
def test_a_mistake_is_told_in_a_line(fields, line):
    with pytest.raises(UserError) as caught:
        read_question(*fields)
    assert str(caught.value) == line


@pytest.mark.parametrize("n", [0, 201])
def test_too_few_or_many_samples_are_refused(model, n):
    with pytest.raises(UserError, match=f"^{n} samples: draw between 1 and 200$"):
        ask([model], read_question(*URN), n, seed=1)


def test_the_probabilities_are_those_of_the_model(model):
    """Against plain passes over prompt and option."""
    question = read_question(*URN)
    (found,) = ask([model], question, 1, seed=1)
    prompt = model.tokenizer("Description: A ball is drawn from an urn.\n\nOutput:").input_ids
    masses = []
    for option in question.options:
        ids = model.tokenizer(f" {option}", add_special_tokens=False).input_ids
        with torch.inference_mode():
            logits = model.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        masses.append(logits.log_softmax(-1)[range(len(ids)), ids].sum().exp().item())
    assert found.mass == pytest.approx(sum(masses), rel=1e-4)
    assert found.probabilities == pytest.approx([mass / sum(masses) for mass in masses], rel=1e-4)


def test_samples_are_counted_and_held_against_the_options(model, monkeypatch):
    drawn = ["red", "red ", "green", "blue", "red", "green", ""]
    monkeypatch.setattr(playground, "sample", lambda *_, **__: [Samples(tuple(drawn), unfinished=0)])
    (found,) = ask([model], read_question("An urn.", "", "", "red\nblue\nblack"), 7, seed=1)
    assert found.counts == (("red", 3), ("green", 2), ("blue", 1), ("", 1))
    assert (found.n, found.valid, found.reached, found.options) == (7, 4, 2, 3)


def test_without_options_there_are_samples_alone(model):
    (found,) = ask([model], read_question("Anything.", "", "", ""), 20, seed=3)
    assert (found.probabilities, found.mass, found.options) == ((), None, 0)
    assert found.n == 20
    assert ask([model], read_question("Anything.", "", "", ""), 20, seed=3) == [found]
    assert ask([model], read_question("Anything.", "", "", ""), 20, seed=4) != [found]


def test_models_are_asked_in_their_formats(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of(LLAMA3)
    names = [str(save_model(tmp_path / name, tokenizer, seed=seed)) for seed, name in enumerate(("base", "tuned"))]
    models = load_models(*names)
    assert [(model.label, model.name, model.text_format.name) for model in models] == [
        ("base", names[0], "colon"),
        ("tuned", names[1], "spectrum"),
    ]
    first, second = ask(models, read_question(*URN), 3, seed=1)
    assert first.probabilities != second.probabilities
    assert [model.label for model in load_models(None, names[1])] == ["tuned"]
    assert [model.label for model in load_models(names[0], None)] == ["base"]


def test_a_calibration_corrects_the_probabilities_of_its_own_model_alone(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of(LLAMA3)
    names = [str(save_model(tmp_path / name, tokenizer, seed=seed)) for seed, name in enumerate(("base", "tuned"))]
    about = {"name": "x", "fingerprint": find_model(names[1]).fingerprint(), "format": "spectrum", "conditions": {}}
    half = {"temperature": {"value": 0.5, "se": 0.1}, "position": None}
    content = {"schema_version": 1, "model": about, "kinds": {"texts": half}}
    write_json(tmp_path / "tuned" / "calibration.json", content)
    plain = ask(load_models(*names), read_question(*URN), 1, seed=1)
    models = load_models(*names, calibration=tmp_path / "tuned")
    assert [model.label for model in models] == ["base", "tuned, calibrated"]
    base, tuned = ask(models, read_question(*URN), 1, seed=1)
    assert base == plain[0]
    squares = [share**2 for share in plain[1].probabilities]
    assert tuned.probabilities == pytest.approx([square / sum(squares) for square in squares])
    assert (tuned.mass, tuned.counts) == (plain[1].mass, plain[1].counts)
    with pytest.raises(UserError, match="other weights"):
        load_models(names[0], None, calibration=tmp_path / "tuned")


def test_the_base_of_an_adapter_needs_no_name(tokenizer_of, tmp_path):
    tokenizer = tokenizer_of(LLAMA3)
    base = save_model(tmp_path / "base", tokenizer)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    models = load_models(None, str(tmp_path / "adapter"))
    assert [(model.label, model.name) for model in models] == [
        ("base", str(base)),
        ("tuned", str(tmp_path / "adapter")),
    ]


def test_no_model_is_a_mistake():
    with pytest.raises(UserError, match=r"^no model to play with: name one with --base or --tuned$"):
        load_models(None, None)


def test_questions_of_all_users_wait_in_one_queue(model):
    blocks = page([model])
    asking = [function for function in blocks.fns.values() if function.fn.__name__ == "respond"]
    assert len(asking) == 2  # the button or the page, and an example
    assert {(function.concurrency_id, function.concurrency_limit, function.queue) for function in asking} == {
        ("models", 1, True)
    }
    assert blocks._queue.max_size == MOST_WAITING


def test_a_model_that_gives_no_number_is_named(model):
    with torch.no_grad():
        model.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"NaN|not finite"):
        ask([model], read_question(*URN), 2, seed=0)
