"""Parametric families of distributions: draws from them, and known distributions with all their outcomes.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting of the parameters, drawn afresh from its own
generator. Raw rows of a task of the paper, of a small setting, and of a known distribution:

    description "Draws from a Poisson distribution with rate 3.5.", outputs 4, 2, 3, ...
    description "Draws from a binomial distribution with n = 3 and p = 0.5.", outputs 1, 2, 2
    description "Draws from a binomial distribution with n = 3 and p = 0.5.", options 0, 1, 2, 3 at 1/8, 3/8, 3/8, 1/8

The paper's settings are large (a thousand trials) and their rows long; a description gives the exact parameters or the
family alone. Known distributions are small and described exactly: the held-out ones (``dist_*``) show what a tuned
model should do best, and no training target equals one of them, whatever the seed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dataset_builder.sources.shared.exact_numbers import (
    SMALLEST,
    listed,
    percent,
    plain,
    random_share,
    random_shares,
    rounded,
    significant,
)
from dataset_builder.sources.shared.synthetic import (
    N_DRAWS,
    SYNTHETIC,
    as_draws,
    draw_length,
    process_id,
    training_target,
)
from dataset_builder.task_spec import Example, Mix, Sequences, Target, TaskSpec

_SETTING = "one parameter setting of the distribution"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a family's parameters.

    Attributes:
        sample: (generator, size) -> array of shape (size,).
        exact: The phrasings that tell the parameters.
    """

    sample: Callable[[np.random.Generator, int], np.ndarray]
    exact: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A named family of distributions; ``setting`` draws its parameters."""

    name: str
    title: str
    setting: Callable[[np.random.Generator], Setting]
    quirks: str

    def generate(self, rng: np.random.Generator, index: int) -> Example:
        """The index-th process: a fresh setting, and Mix(1024) draws from it."""
        setting = self.setting(rng)
        values = setting.sample(rng, draw_length(rng, Mix(1024)))
        descriptions = (*setting.exact, f"Draws from {self.title}.")
        return Example(process_id(index), descriptions, as_draws(values.tolist()))

    def task(self) -> TaskSpec:
        """The training task of 500 settings of this family."""
        return TaskSpec(
            name=self.name,
            kind="icl",
            split="train",
            source=SYNTHETIC,
            group="random_draws",
            summary=f"Draws from {self.title} whose parameters differ from process to process.",
            process=_SETTING,
            outputs=("value",),
            sequences=Sequences("one"),
            generate=self.generate,
            n_processes=500,
            quirks=f"Every process has a setting of its own; the release shares few settings. {self.quirks}",
        )


SIDES = ("Heads", "Tails")


def coinflip(rng: np.random.Generator, index: int) -> Example:
    """One coin with its own bias, tossed Mix(128) times."""
    p_heads = rng.uniform(SMALLEST, 1 - SMALLEST)
    tails = rng.random(draw_length(rng, Mix(128))) >= p_heads
    return Example(process_id(index), _coin_texts(p_heads), as_draws(np.take(SIDES, tails).tolist()))


def _coin_texts(p_heads: float) -> tuple[str, ...]:
    likelier, other = SIDES if p_heads > 0.5 else SIDES[::-1]  # noqa: PLR2004
    return (
        "Each output is Heads or Tails.",
        "Tosses of a coin. It may be biased.",
        f"Tosses of a biased coin: {likelier} is likelier than {other}.",
        f"Tosses of a coin that shows {likelier} more often.",
        *coin_exact_texts(p_heads),
    )


def coin_exact_texts(p_heads: float) -> tuple[str, ...]:
    """The phrasings that tell the bias of a coin, to two decimals or as a percentage."""
    heads, tails = rounded(p_heads, 2), rounded(1 - p_heads, 2)
    return (
        f"Tosses of a coin with P(Heads) = {heads} and P(Tails) = {tails}.",
        f"Tosses of a coin that shows Heads with probability {heads}, otherwise Tails.",
        f"A coin is tossed. It shows Heads in {percent(p_heads)} of all tosses and Tails in {percent(1 - p_heads)}.",
    )


def categorical(rng: np.random.Generator) -> Setting:
    """An index from 0 to k - 1, k = max(2, Mix(12)), probabilities from a flat Dirichlet."""
    k = max(2, draw_length(rng, Mix(12)))
    shares = random_shares(rng, k)
    return Setting(lambda rng, size: rng.choice(k, size, p=shares), categorical_texts(shares))


def categorical_texts(shares: np.ndarray) -> tuple[str, ...]:
    """The phrasings that give the exact parameters of a categorical distribution over indices."""
    k = len(shares)
    return (
        f"Draws from a categorical distribution over {k} categories with probabilities {listed(shares)}.",
        f"Each value is the index (0 to {k - 1}) of one of {k} categories. In order, their probabilities are "
        f"{listed(shares)}.",
    )


def multinomial(rng: np.random.Generator) -> Setting:
    """Counts of n = Mix(32) trials over k = max(2, Mix(12)) categories, as JSON: an object or a list, per process."""
    k, n = max(2, draw_length(rng, Mix(12))), draw_length(rng, Mix(32))
    shares = random_shares(rng, k)
    form = json.dumps(dict.fromkeys(map(str, range(k)), 0) if rng.random() < 1 / 2 else [0] * k)
    template = form.replace(" 0", " %d").replace("[0", "[%d")

    def sample(rng: np.random.Generator, size: int) -> np.ndarray:
        counts = rng.multinomial(n, shares, size)
        return np.array([template % tuple(row) for row in counts.tolist()])

    return Setting(
        sample,
        (
            f"Draws from a multinomial distribution: {n} trials over {k} categories with probabilities "
            f"{listed(shares)}; each value gives the count of every category.",
        ),
    )


_EXACT_SHARES = "Probabilities are whole ten-thousandths that sum to 1, so that four decimals tell them exactly."

LARGEST = 2**53 - 1
"""Integers up to here are exact in every JSON reader."""


def geometric(rng: np.random.Generator, texts: tuple[str, ...]) -> Setting:
    """Trials up to the first success, p ~ Beta(1, 1), told whole or to three decimals."""
    p = random_share(rng)
    told = {"p": plain(p), "rounded": rounded(p, 3)}
    return Setting(lambda rng, size: rng.geometric(p, size), tuple(text.format(**told) for text in texts))


_GEOMETRIC = (
    "Draws from a geometric distribution with success probability p = {p}.",
    "Each value counts the trials up to and including the first success; a trial succeeds with probability {p}.",
)
_GEOMETRIC_BETA = (
    "Geometric distribution on 1, 2, 3, ..., where p = {rounded}.",
    "Geometric distribution on 1, 2, 3, ..., whose p was itself drawn from Beta(1, 1) and is {p}.",
)


def poisson(rng: np.random.Generator) -> Setting:
    """Counts with a rate from Gamma(shape 0.5, scale 2000)."""
    rate = significant(max(rng.gamma(0.5, 2000), SMALLEST))
    return Setting(
        lambda rng, size: rng.poisson(rate, size),
        (
            f"Draws from a Poisson distribution with rate {plain(rate)}.",
            f"Each value is a Poisson distributed number of events, where {plain(rate)} are expected.",
        ),
    )


def negative_binomial(rng: np.random.Generator) -> Setting:
    """Failures before r successes, r ~ Beta(1, 1), p ~ Uniform(0, 1)."""
    r, p = random_share(rng), random_share(rng)
    return Setting(
        lambda rng, size: rng.negative_binomial(r, p, size),
        (
            f"Draws from a negative binomial distribution with r = {rounded(r, 2)} and p = {rounded(p, 2)}.",
            f"Negative binomial counts: the failures before r = {rounded(r, 2)} successes, where one trial succeeds "
            f"with probability {rounded(p, 2)}.",
        ),
    )


def zipfian(rng: np.random.Generator) -> Setting:
    """Ranks with weight proportional to rank ** -alpha, alpha ~ Uniform(1.000001, 2.5)."""
    alpha = significant(rng.uniform(1.000001, 2.5), 7)
    return Setting(
        lambda rng, size: _zipf(rng, alpha, size),
        (
            f"Draws from a Zipf distribution with exponent {max(alpha, 1.001):.3f}.",  # never 1: it has none
            f"Each value is a rank x, with probability proportional to x to the power of minus {plain(alpha)}.",
        ),
    )


def _zipf(rng: np.random.Generator, alpha: float, size: int) -> np.ndarray:
    values = rng.zipf(alpha, size)
    while (large := values > LARGEST).any():
        values[large] = rng.zipf(alpha, large.sum())
    return values


_BOUNDED = (
    "Parameters that are uniform on (0, 1) lie between 1e-6 and 1 - 1e-6, which keeps every value an exact integer."
)
_EXACT = "Parameters have six significant digits, so that a description tells them exactly."


def binomial(rng: np.random.Generator) -> Setting:
    """Successes in Mix(1024) trials, p ~ Beta(1, 1)."""
    n, p = draw_length(rng, Mix(1024)), random_share(rng)
    return Setting(lambda rng, size: rng.binomial(n, p, size), binomial_texts(n, p))


def binomial_texts(n: int, p: float) -> tuple[str, ...]:
    """The phrasings that give the exact parameters of a binomial distribution."""
    return (
        f"Draws from a binomial distribution with n = {n} and p = {plain(p)}.",
        f"Each value is the number of successes among {n} independent trials; one trial succeeds with probability "
        f"{plain(p)}.",
    )


def hypergeometric(rng: np.random.Generator) -> Setting:
    """Positives in a sample of n from N items, K of them positive; N ~ Mix(128), K and n uniform on 1..N."""
    total = draw_length(rng, Mix(128))
    positive, sample = rng.integers(1, total, size=2, endpoint=True).tolist()
    return Setting(
        lambda rng, size: rng.hypergeometric(positive, total - positive, sample, size),
        hypergeometric_texts(total, positive, sample),
    )


def hypergeometric_texts(total: int, positive: int, sample: int) -> tuple[str, ...]:
    """The phrasing that gives the exact parameters of a hypergeometric distribution."""
    return (
        f"Draws from a hypergeometric distribution: population size {total}, positives in it {positive}, sample size "
        f"{sample}; each value counts the positives in one sample.",
    )


FRESH_COINS = tuple(range(1, 100, 4))
"""The biases of these coins in percent; the coins of ``small_settings`` have the others."""


def held_out_coin(rng: np.random.Generator, index: int) -> Example:
    """A coin whose bias is a whole percentage, so that every phrasing tells it exactly."""
    return coin(index, int(rng.choice(FRESH_COINS)))


def coin(index: int, percent: int) -> Example:
    """A coin that shows Heads in so many percent of all tosses."""
    p_heads = percent / 100
    return _known(index, coin_exact_texts(p_heads), SIDES, (p_heads, 1 - p_heads))


def known_categorical(rng: np.random.Generator, index: int) -> Example:
    """2 to 12 categories with probabilities from a flat Dirichlet, in ten-thousandths."""
    shares = random_shares(rng, int(rng.integers(2, 12, endpoint=True)))
    return _known(index, categorical_texts(shares), range(len(shares)), shares.tolist())


def known_binomial(rng: np.random.Generator, index: int) -> Example:
    """2 to 20 trials, all counts listed."""
    n, p = int(rng.integers(2, 20, endpoint=True)), random_share(rng)
    return _known(index, binomial_texts(n, p), range(n + 1), binomial_pmf(n, p))


def known_hypergeometric(rng: np.random.Generator, index: int) -> Example:
    """A population of 2 to 30 with at least two possible counts, all listed."""
    while True:
        total = int(rng.integers(2, 30, endpoint=True))
        positive, sample = rng.integers(1, total, size=2, endpoint=True).tolist()
        pmf = hypergeometric_pmf(total, positive, sample)
        if len(pmf) > 1:
            return _known(index, hypergeometric_texts(total, positive, sample), pmf, pmf.values())


def binomial_pmf(n: int, p: float) -> list[float]:
    """Probabilities of 0, ..., n successes in n trials."""
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def hypergeometric_pmf(total: int, positive: int, sample: int) -> dict[int, float]:
    """Possible count of positives in a sample without replacement -> its probability."""
    counts = range(max(0, sample + positive - total), min(sample, positive) + 1)
    ways = {k: math.comb(positive, k) * math.comb(total - positive, sample - k) for k in counts}
    return {k: way / math.comb(total, sample) for k, way in ways.items()}


def _known(index: int, descriptions: tuple[str, ...], options: object, probabilities: object) -> Example:
    target = Target(None, tuple(map(str, options)), tuple(probabilities))
    return Example(process_id(index), descriptions, target=target)


def _held_out(family: str, generate: Callable[[np.random.Generator, int], Example], version: str = "1.0.0") -> TaskSpec:
    return TaskSpec(
        name=f"dist_{family}",
        kind="distribution",
        split="test",
        source=SYNTHETIC,
        group="random_draws",
        summary=f"Fresh settings of the training task {family}, described exactly, with all outcomes listed.",
        process=_SETTING,
        outputs=("value",),
        generate=generate,
        n_processes=100,
        origin="ours",
        version=version,
    )


TRAINING_COINS = tuple(sorted(set(range(1, 100)) - set(FRESH_COINS)))


def training_coin(rng: np.random.Generator, index: int) -> Example:
    """A coin with a bias that no coin of the evaluation has."""
    return coin(index, int(rng.choice(TRAINING_COINS)))


FAMILIES = (training_coin, known_categorical, known_binomial, known_hypergeometric)


def small_setting(rng: np.random.Generator, index: int) -> Example:
    """Draws from a small setting of a family chosen at random."""
    setting = FAMILIES[rng.integers(len(FAMILIES))](rng, index)
    outputs = rng.choice(setting.target.options, size=N_DRAWS, p=setting.target.probabilities).tolist()
    return Example(process_id(index), setting.descriptions, as_draws(outputs), options=(setting.target.options,))


TASKS = [
    TaskSpec(
        name="coinflip",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Tosses of a coin whose bias differs from process to process.",
        process="one coin with its own bias",
        outputs=("outcome",),
        options=SIDES,
        sequences=Sequences("one"),
        generate=coinflip,
        n_processes=1000,
        quirks="A probability that would round to 0 or 1 is told with more decimals.",
    ),
    Family("categorical", "a categorical distribution", categorical, _EXACT_SHARES).task(),
    Family(
        "multinomial", "a multinomial distribution", multinomial, f"{_EXACT_SHARES} Counts are JSON numbers."
    ).task(),
    Family(
        "geometric", "a geometric distribution", partial(geometric, texts=_GEOMETRIC), f"{_BOUNDED} {_EXACT}"
    ).task(),
    Family("poisson", "a Poisson distribution", poisson, f"The rate is at least 1e-6. {_EXACT}").task(),
    Family("negative_binomial", "a negative binomial distribution", negative_binomial, _BOUNDED).task(),
    Family(
        "geometric_beta",
        "a geometric distribution starting at 1",
        partial(geometric, texts=_GEOMETRIC_BETA),
        _BOUNDED,
    ).task(),
    Family("zipfian", "a Zipf distribution", zipfian, "Values above 2**53 - 1 are drawn again.").task(),
    Family(
        "binomial",
        "a binomial distribution",
        binomial,
        "p has six significant digits, so that a description tells it exactly, and lies between 1e-6 and 1 - 1e-6.",
    ).task(),
    Family("hypergeometric", "a hypergeometric distribution", hypergeometric, "").task(),
    _held_out("coinflip", held_out_coin, version="1.1.0"),
    _held_out("categorical", known_categorical),
    _held_out("binomial", known_binomial),
    _held_out("hypergeometric", known_hypergeometric),
    TaskSpec(
        name="small_settings",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Draws from coins and small categorical, binomial and hypergeometric distributions, told exactly.",
        process="one parameter setting of one of four families",
        outputs=("value",),
        sequences=Sequences("one"),
        generate=small_setting,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
    training_target("coinflip", training_coin, 300, "Coins of known bias, none as in dist_coinflip.", _SETTING),
    training_target(
        "categorical",
        known_categorical,
        1000,
        "Categorical distributions of known probabilities, none as in dist_categorical.",
        _SETTING,
    ),
    training_target(
        "binomial",
        known_binomial,
        1000,
        "Binomial distributions of known parameters, none as in dist_binomial.",
        _SETTING,
    ),
    training_target(
        "hypergeometric",
        known_hypergeometric,
        1000,
        "Hypergeometric distributions of known parameters, none as in dist_hypergeometric.",
        _SETTING,
    ),
]
