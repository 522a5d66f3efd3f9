"""A model scores and samples the same numbers whoever else uses it at the time, and is left as it was."""

import math
import threading

import pytest
import torch

from spectrum_suite import option_logprobs
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.output_logprobs import output_logprobs
from spectrum_suite.generation.respond import respond
from spectrum_suite.generation.sample import sample
from spectrum_suite.generation.table import option_table
from spectrum_suite.lm_head import HeadView
from spectrum_suite.training.losses import logits_are_plain
from tests.tiny_models import tiny_model

THREADS = 4
CALLS = 6


@pytest.fixture
def text_format(chatml):
    return get_format("spectrum", chatml)


def urn(number):
    return [{"role": "description", "content": f"An urn with {number} red balls " + "and more " * number}]


def outputs(*texts):
    return [{"role": "output", "content": text} for text in texts]


def results_of(calls):
    """What each call gives when all run at once, in threads; exceptions are results."""
    found = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index):
        start.wait()
        try:
            found[index] = [calls[index]() for _ in range(CALLS)]
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_threads_that_share_a_model_get_the_numbers_of_one(name, chatml, text_format):
    model = tiny_model(name, len(chatml))

    def score(number):
        return option_logprobs(model, chatml, [urn(number)], [["red", "blue", "dark blue"]], text_format=text_format)[0]

    def draw(number):
        return sample(model, chatml, [urn(number)], 5, text_format=text_format, max_new_tokens=4, seed=1)

    calls = [*(lambda n=n: score(n) for n in range(THREADS)), *(lambda n=n: draw(n) for n in range(THREADS))]
    alone = [call() for call in calls]
    for found, expected in zip(results_of(calls), alone, strict=True):
        assert not isinstance(found, Exception), found
        for result in found:
            if isinstance(expected, torch.Tensor):
                torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
            else:
                assert result == expected


def test_a_model_is_left_as_it_was(chatml, text_format):
    model = tiny_model("llama", len(chatml))
    head = model.get_output_embeddings()
    during = []

    def look(module, given, made):
        during.append((len(head._forward_pre_hooks), "forward" in head.__dict__, model.lm_head is head))

    model.model.register_forward_hook(look)
    option_logprobs(model, chatml, [urn(2)], [["red", "blue"]], text_format=text_format)
    sample(model, chatml, [urn(2)], 2, text_format=text_format, max_new_tokens=3, seed=1)
    logits_are_plain(model)
    assert set(during) == {(0, False, True)}


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_view_sees_chosen_states_and_what_the_model_does_to_logits(chatml, in_pieces):
    model = tiny_model("gemma3", len(chatml))
    model.config.final_logit_softcapping = 0.5
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    positions = torch.tensor([[True, False, True], [False, True, False]])
    with torch.no_grad():
        whole = model(input_ids=ids).logits
        found = HeadView(model, in_pieces=in_pieces)(lambda states: states[positions], input_ids=ids).logits
    torch.testing.assert_close(found, whole[positions], rtol=1e-5, atol=1e-5)
    assert whole.abs().max() <= 0.5


class HeadlessLlama(torch.nn.Module):
    """A model whose head is none of its modules."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config, self.device, self.dtype = model, model.config, model.device, model.dtype

    def get_output_embeddings(self):
        return None

    def forward(self, **inputs):
        return self.model(**inputs)


def test_a_model_without_a_head_of_its_own_is_scored_from_all_its_logits(chatml):
    model = tiny_model("llama", len(chatml))
    view = HeadView(HeadlessLlama(model))
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        found = view(lambda states: states[:, 1:].flatten(0, 1), input_ids=ids).logits
        torch.testing.assert_close(found, model(input_ids=ids).logits[0, 1:])
    assert not view.sees_head
    assert not logits_are_plain(HeadlessLlama(model))


@pytest.fixture
def broken(chatml):
    """A model whose logits are NaN after the token @, as an activation above 65,504 makes them in float16."""
    model = tiny_model("llama", len(chatml), seed=1)
    with torch.no_grad():
        model.get_input_embeddings().weight[chatml("@", add_special_tokens=False).input_ids[0]] = math.inf
    return model


SIGNS = [{"role": "description", "content": "Signs."}]


def test_options_after_logits_that_are_nan_have_no_probability(broken, chatml, text_format):
    prompts = [SIGNS + outputs("@"), SIGNS + outputs("x")]
    bad, good = option_logprobs(broken, chatml, prompts, [["x", "y"]] * 2, text_format=text_format)
    assert bad.isnan().all()
    assert good.isfinite().all()


def test_an_infinite_logit_leaves_no_option_with_a_probability(chatml, text_format):
    model = tiny_model("llama", len(chatml))
    with torch.no_grad():
        model.lm_head.weight[7] = math.inf
    scores = option_logprobs(model, chatml, [SIGNS], [["x", "y"]], text_format=text_format)[0]
    assert scores.isnan().all()  # not -inf, which would say that they are impossible


@pytest.mark.parametrize("described", [True, False])
def test_outputs_say_which_of_them_were_asked_for(broken, chatml, text_format, described):
    start = SIGNS if described else []
    sequences = [start + outputs("x", "@", "y"), start + outputs("x", "y")]
    bad, good = output_logprobs(broken, chatml, sequences, text_format=text_format)
    assert bad.asked.tolist() == [described, True, True]
    assert bad.log_probs.isnan().all()
    assert good.asked.tolist() == [described, True]
    assert good.log_probs.isnan().tolist() == [not described, False]


def test_an_option_that_gives_nan_spoils_no_other(broken, chatml, text_format):
    signs = ["x", "y", "@x"]
    plain = [option_logprobs(broken, chatml, [SIGNS], [[sign]], text_format=text_format)[0].item() for sign in signs]
    (found,) = option_logprobs(broken, chatml, [SIGNS], [signs], text_format=text_format)
    assert found.isnan().tolist() == [False, False, True]
    assert found.tolist()[:2] == pytest.approx(plain[:2], abs=1e-4)
    (outputs_found,) = output_logprobs(broken, chatml, [SIGNS + outputs("x")], options=signs, text_format=text_format)
    assert outputs_found.options.isnan().tolist() == [[False, False, True]]
    assert outputs_found.log_probs.isfinite().all()


def test_nothing_is_drawn_or_tabled_from_logits_that_are_nan(broken, chatml, text_format):
    prompt = SIGNS + outputs("@")
    with pytest.raises(UserError, match=r"logits are not finite.*--dtype"):
        sample(broken, chatml, [prompt], 3, text_format=text_format, max_new_tokens=3, seed=1)
    with pytest.raises(UserError, match=r"logits are not finite.*--dtype"):
        respond(broken, chatml, [prompt], text_format=text_format, max_new_tokens=3)
    with pytest.raises(UserError, match=r"logits are not finite.*--dtype"):
        option_table(broken, chatml, prompt, ["x", "y"], text_format=text_format)
