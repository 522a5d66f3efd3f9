"""A distribution from the likeliest first tokens of an answer, exact where these distinguish all options.

A token stands for the options that an answer beginning with it may be: those whose text, or whose label in the prompt,
begins with it, and the one that it is with punctuation after it. White space, quotes, markdown and case do not count,
as in :mod:`spectrum_suite.lm.match_answers`. The probability of a token

    that stands for one option         is that option's
    that stands for several            is some of theirs, it is not known whose
    that is nothing but signs          is any option's, or none's
    that stands for none               is not an option's

and so is what is missing to 1, of tokens that are less likely than those that are told, where an option has none among
them. An item is exact if nothing is left open, and each of its options has a token. Of the others the divergence has a
lower and an upper bound: the probability of an option is between what is certainly its own and that with all that
may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.asked_items import items_of_masses
from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.formats.render import Message
from spectrum_suite.lm.answers import FirstTokens
from spectrum_suite.lm.base import LM
from spectrum_suite.lm.listed_options import labelled_options
from spectrum_suite.lm.match_answers import BULLETS, bare, folded

OPEN = "not distinguished by the likeliest first tokens"
"""Why an item has bounds and no number."""


@dataclass(frozen=True)
class OptionMasses:
    """What first tokens say of the options of an item.

    Attributes:
        own: The probability that is certainly each option's, (n_options,).
        open: That may be each option's as well, (n_options,).
    """

    own: np.ndarray
    open: np.ndarray

    @property
    def exact(self) -> bool:
        """Whether nothing is left open."""
        return not self.open.any()

    def share_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest share of each option among all of them, (n_options,) each."""
        most = self.own + self.open
        with np.errstate(invalid="ignore", divide="ignore"):
            low = self.own / (self.own + (most.sum() - most))
            high = most / (most + (self.own.sum() - self.own))
        return np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)


def option_masses(tokens: FirstTokens, options: Sequence[str], prompt: Sequence[Message]) -> OptionMasses:
    """The probability of each option, as far as the likeliest first tokens determine it.

    Args:
        tokens: The likeliest first tokens, with their log-probabilities in nats.
        options: The options.
        prompt: The messages before the answer, where labels are looked for.
    """
    names = [(folded(text), place) for place, text in enumerate(options)]
    names += [(folded(text), place) for text, place in labelled_options(prompt, options)]
    own, left = np.zeros(len(options)), np.zeros(len(options))
    for text, log_prob in tokens:
        places = sorted(_stands_for(text, names, len(options)))
        (own if len(places) == 1 else left)[places] += math.exp(log_prob)
    unseen = own == 0
    missing = max(0.0, 1 - math.fsum(math.exp(log_prob) for _, log_prob in tokens))
    left[unseen] += missing
    return OptionMasses(own, left)


def js_bounds(masses: OptionMasses, target: Sequence[float]) -> tuple[float, float]:
    """Bounds of the Jensen-Shannon divergence of the shares from the target, in nats.

    The divergence is a sum over options of a convex function of the option's share, which is 0 where the share is the
    target's. So each term is least at the share next to the target's, and greatest at an end.
    """
    p, low, high = (_smoothed(np.asarray(shares, dtype=float)) for shares in (target, *masses.share_bounds()))
    ends = np.maximum(_js_terms(p, low), _js_terms(p, high)).sum()
    return float(_js_terms(p, np.clip(p, low, high)).sum()), float(min(ends, math.log(2)))


def by_top_logprobs(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Ask for the likeliest first tokens of each answer. Items that they leave open have bounds and no number."""
    options: list[list[str]] = rows["options"][:]
    prompts: list[list[Message]] = rows["messages"][:]
    targets: list[list[float]] = rows["probabilities"][:]
    found = [option_masses(*row) for row in zip(lm.first_tokens(prompts), options, prompts, strict=True)]
    masses = [each.own.tolist() if each.exact else None for each in found]
    refused = [None if each.exact else OPEN for each in found]
    items = items_of_masses(rows, masses, refused)
    return tuple(
        replace(item, bounds=(item.scores["js_divergence"],) * 2 if each.exact else js_bounds(each, target))
        for item, each, target in zip(items, found, targets, strict=True)
    )


def _stands_for(text: str, names: Sequence[tuple[str, int]], n_options: int) -> set[int]:
    """The places of the options that an answer beginning with a token may be."""
    begun = bare(text).casefold()
    if begun in ("", *BULLETS):
        return set(range(n_options))
    whole = folded(text)
    return {place for name, place in names if name and (name.startswith(begun) or name == whole)}


def _smoothed(shares: np.ndarray) -> np.ndarray:
    return (shares + SMOOTHING) / (1 + SMOOTHING * len(shares))


def _js_terms(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    middle = (p + q) / 2
    return (p * np.log(p / middle) + q * np.log(q / middle)) / 2


TOP_LOGPROBS = Estimate("first_tokens", by_top_logprobs, lambda _: {})
