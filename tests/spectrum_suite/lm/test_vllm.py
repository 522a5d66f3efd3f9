"""A model that vLLM runs gives the numbers of `transformers`, and its samples follow its distribution.

In an environment of their own, which `make test-vllm` makes; elsewhere they are skipped.
"""

from collections import Counter
from importlib.util import find_spec

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.generation.logprobs import prompt_token_ids
from spectrum_suite.layouts import alone
from spectrum_suite.lm.continuations import FOLLOWERS
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.vllm import VllmLM
from spectrum_suite.models import find_model
from tests.spectrum_suite.lm.vllm_settings import COIN, CPU, OPTIONS, PROMPTS, SIDES, SMALL, assert_close_options
from tests.tiny_models import save_qwen3

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed here: 'make test-vllm'"),
]

TOSSES = [COIN + [{"role": "output", "content": side} for side in ("Heads", "Tails", "Heads")]]


@pytest.fixture(scope="module")
def files(tokenizer_of, tmp_path_factory):
    return find_model(str(save_qwen3(tmp_path_factory.mktemp("qwen3"), tokenizer_of("qwen"))))


@pytest.fixture(scope="module")
def both(files):
    """The model in `spectrum` by both engines."""
    return [LocalLM(files, "spectrum", CPU, torch.float32), VllmLM(files, "spectrum", CPU, torch.float32, SMALL)]


def test_options_and_outputs_get_the_scores_of_the_model_itself(both):
    local, lm = both
    for _ in range(2):  # from an empty prefix cache, and from one that has all of it
        found = lm.option_logprobs(PROMPTS, OPTIONS)
        assert_close_options(found, local.option_logprobs(PROMPTS, OPTIONS), 1e-4)
    for options in (None, SIDES):
        (mine,), (theirs,) = (one.output_logprobs(TOSSES, options=options) for one in (lm, local))
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0)
        assert mine.tokens.tolist() == theirs.tokens.tolist()
    torch.testing.assert_close(mine.options, theirs.options, atol=1e-4, rtol=0)


def test_more_tokens_than_go_into_a_request_and_the_longest_prompt(both):
    local, lm = both
    pieces = map(local.tokenizer.decode, ([token] for token in range(300, 700)))
    words = list(dict.fromkeys(piece for piece in pieces if piece.isascii() and piece.isalpha()))
    longest = "1" * (lm.positions - 1)  # each digit is a token: with an option as many as the model takes
    asked = [[longest, COIN], [["2"], words]]
    (one, many), expected = (engine.option_logprobs(*asked, refuse_long=True) for engine in (lm, local))
    assert_close_options([one, many], expected, 1e-4)
    assert len({ids[0] for ids in many.token_ids}) > FOLLOWERS


def test_samples_follow_the_distribution_and_depend_on_their_numbers_alone(both):
    local, lm = both
    n = 1500
    (prompt,) = prompt_token_ids(local.tokenizer, [COIN], local.text_format)
    with torch.inference_mode():
        shares = alone(local.model, prompt)[-1].float().softmax(-1)
    (found,) = lm.sample([COIN], n, max_new_tokens=1, seed=1)
    counts = Counter(tokens[0] for tokens in found.token_ids if tokens)
    for share, token in zip(*shares.topk(5), strict=True):
        p = share.item()
        assert abs(counts[token.item()] / n - p) < 4.5 * (p * (1 - p) / n) ** 0.5
    first, more = (lm.sample([COIN, COIN], k, first=start, max_new_tokens=5, seed=2) for k, start in ((6, 0), (4, 2)))
    assert [samples.texts[2:] for samples in first] == [samples.texts for samples in more]
    assert first[0].texts != first[1].texts
    with pytest.raises(UserError, match="more than the 512 that the model was made for"):
        lm.sample([COIN], 1, max_new_tokens=510, seed=1)


@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_responses_end_where_those_of_the_model_itself_do(name, files, both):
    prompts = [
        COIN,
        [{"role": "input", "content": "日本 or é?"}],
        *([{"role": "input", "content": c}] for c in "abcdef"),
    ]
    local, lm = LocalLM(files, name, CPU, torch.float32), VllmLM(files, name, CPU, torch.float32, SMALL)
    vars(lm)["llm"] = both[1].llm
    assert lm.respond(prompts, max_new_tokens=24) == local.respond(prompts, max_new_tokens=24)


def test_a_text_ends_at_a_blank_line_in_plain_text(files, both):
    lm = VllmLM(files, "colon", CPU, torch.float32, SMALL)
    vars(lm)["llm"] = both[1].llm
    (found,) = lm.sample([COIN], 400, max_new_tokens=40, seed=3)
    ended = [text for text, end in zip(found.texts, found.ended, strict=True) if end]
    assert ended
    assert not any("\n\n" in text for text in found.texts)
    assert found.unfinished == 400 - len(ended)
