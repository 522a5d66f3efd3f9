"""The families that the builder draws: what is drawn is what the description says, for draws and for targets."""

import functools
import json
import re

import numpy as np
import pytest
from scipy import special, stats

from dataset_builder.sources import cards_deck, normal, parametric
from dataset_builder.sources.shared import exact_numbers, synthetic
from dataset_builder.task_spec import Mix
from spectrum_suite.seeding import generator

MODULES = (normal, parametric, cards_deck)
EVERY_TASK = {task.name: task for module in MODULES for task in module.TASKS}
TASK = {name: task for name, task in EVERY_TASK.items() if task.kind == "icl" and task.origin == "paper"}
FAMILIES = sorted(TASK.keys() - {"cards", "coinflip", "normal"})
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
LEVEL = 1e-3  # of every test on fixed seeds


@functools.cache
def processes(name):
    task = EVERY_TASK[name]
    return [task.generate(generator(42, name, "process", i), i) for i in range(task.n_processes)]


def numbers(text):
    return [float(number) for number in re.findall(NUMBER, text)]


def told(example, start):
    """The numbers in the one description that starts so."""
    [text] = [text for text in example.descriptions if text.startswith(start)]
    return numbers(text)


def outputs(example, size=None):
    return [draw.output for draw in example.draws[:size]]


def zipf_cdf(k, alpha):
    norm = special.zeta(alpha) - special.zeta(alpha, 2.0**53)  # ranks above 2**53 - 1 are drawn again
    return (special.zeta(alpha) - special.zeta(alpha, np.asarray(k, dtype=float) + 1)) / norm


def categorical_cdf(_, *shares):
    return lambda k: np.concatenate([[0.0], np.cumsum(shares)])[np.asarray(k, dtype=int) + 1]


# Name -> the start of the description that tells the parameters, and the distribution function they give.
CDF = {
    "coinflip": ("Tosses of a coin with P(Heads)", lambda _, p_tails: stats.bernoulli(p_tails).cdf),
    "geometric": ("Draws from a geometric distribution with", lambda p: stats.geom(p).cdf),
    "geometric_beta": ("Geometric distribution on 1, 2, 3, ..., whose", lambda *told: stats.geom(told[-1]).cdf),
    "poisson": ("Draws from a Poisson distribution with", lambda rate: stats.poisson(rate).cdf),
    "binomial": ("Draws from a binomial distribution with", lambda n, p: stats.binom(n, p).cdf),
    "negative_binomial": ("Draws from a negative binomial distribution with", lambda r, p: stats.nbinom(r, p).cdf),
    "hypergeometric": ("Draws from a hypergeometric distribution:", lambda *told: stats.hypergeom(*told).cdf),
    "categorical": ("Draws from a categorical distribution over", categorical_cdf),
    "zipfian": ("Each value is a rank x", lambda alpha: lambda k: zipf_cdf(k, alpha)),
    # of the count of the first category
    "multinomial": ("Draws from a multinomial distribution:", lambda n, _, first, *rest: stats.binom(n, first).cdf),
}


def values(name, texts):
    if name == "coinflip":
        return np.array([{"Heads": 0, "Tails": 1}[text] for text in texts])
    if name == "multinomial":
        return np.array([int(re.search(r"(?:\[|: )(\d+)", text)[1]) for text in texts])
    return np.array([int(text) for text in texts])


@pytest.mark.parametrize("name", ["coinflip", *FAMILIES])
def test_draws_follow_the_described_distribution(name):
    """Randomised probability integral transforms, pooled over processes, are uniform (Kolmogorov-Smirnov)."""
    rng = np.random.default_rng(0)
    pooled = []
    for example in processes(name)[:120]:
        if name in {"negative_binomial", "coinflip"} and min(told(example, example.descriptions[-2])[:2]) < 0.2:
            continue  # told with two decimals: where that is too coarse, it is no test of the draws
        start, distribution_told = CDF[name]
        drawn, distribution = values(name, outputs(example, 40)), distribution_told(*told(example, start))
        below, up_to = distribution(drawn - 1), distribution(drawn)
        pooled.append(below + rng.random(len(drawn)) * (up_to - below))
    assert len(pooled) > 50
    assert stats.kstest(np.concatenate(pooled), "uniform").pvalue > LEVEL


@pytest.mark.parametrize("name", sorted(TASK.keys() - {"cards"}))
def test_every_process_has_a_setting_of_its_own(name):
    task, examples = TASK[name], processes(name)
    assert len(examples) == {"coinflip": 1000, "normal": 1000}.get(name, 500)
    assert len({example.process for example in examples}) == len(examples)
    different = len({example.descriptions for example in examples})
    # Biases told with two decimals coincide now and then, as may the three counts of a hypergeometric setting.
    assert different >= {"coinflip": 99, "negative_binomial": 450, "hypergeometric": 498}.get(name, len(examples))
    assert task.generate(generator(42, name, "process", 7), 7) == examples[7]


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers_of_draws_and_descriptions(name):
    lengths = [len(example.draws) for example in processes(name)]
    # Geometric(2 / 1024) + Poisson(512): mean 1024, variance (1 - 1/512) * 512 ** 2 + 512.
    standard_error = np.sqrt((1 - 1 / 512) * 512**2 + 512) / np.sqrt(500)
    assert abs(np.mean(lengths) - 1024) < 4 * standard_error
    assert min(lengths) > 400
    last = {example.descriptions[-1] for example in processes(name)}
    assert len(last) == 1  # the family alone
    assert not numbers(last.pop().removesuffix(" starting at 1."))


def test_lengths_are_geometric_plus_poisson():
    rng = generator("lengths")
    lengths = np.array([synthetic.draw_length(rng, Mix(12)) for _ in range(4000)])
    k = np.arange(1, 200)
    pmf = np.convolve(stats.geom(1 / 6).pmf(k), stats.poisson(6).pmf(np.arange(200)))[:199]
    observed = np.bincount(lengths, minlength=200)[1:30]
    expected = pmf[:29] * 4000
    kept = expected > 5
    assert ((observed - expected)[kept] ** 2 / expected[kept]).sum() < stats.chi2.ppf(1 - LEVEL, kept.sum())
    assert lengths.min() >= 1


@pytest.mark.parametrize("name", ["geometric", "poisson", "binomial", "categorical"])
def test_two_phrasings_tell_the_same_parameters(name):
    for example in processes(name):
        first, second = map(numbers, example.descriptions[:2])
        if name == "categorical":
            assert first[0] == second[2] == len(first) - 1
            assert second[:2] == [0, first[0] - 1]
            first, second = first[1:], second[3:]
            assert round(sum(first), 9) == 1
        assert first == second


@pytest.mark.parametrize("name", ["geometric_beta", "zipfian"])
def test_rounded_and_whole_parameters_agree(name):
    for example in processes(name):
        rounded, whole = numbers(example.descriptions[0])[-1], numbers(example.descriptions[1])[-1]
        assert rounded == pytest.approx(whole, abs=0.0005 + 1e-12)
        assert rounded not in {0, 1}


def test_parameters_have_the_catalogues_distributions():
    def parameter(name, place, index):
        return [numbers(example.descriptions[place])[index] for example in processes(name)]

    def agrees(sample, distribution):
        return stats.kstest(sample, distribution.cdf).pvalue > LEVEL

    assert agrees(parameter("geometric", 0, 0), stats.uniform)
    assert agrees(parameter("geometric_beta", 1, -1), stats.uniform)
    assert agrees(parameter("binomial", 0, 1), stats.uniform)
    assert agrees(parameter("poisson", 0, 0), stats.gamma(0.5, scale=2000))
    assert agrees(parameter("zipfian", 1, 0), stats.uniform(1, 1.5))
    assert agrees([told(coin, "Tosses of a coin with")[0] for coin in processes("coinflip")], stats.uniform)
    settings = [numbers(example.descriptions[0])[:3] for example in processes("hypergeometric")]
    assert all(1 <= positive <= total and 1 <= sample <= total for total, positive, sample in settings)
    rng = np.random.default_rng(0)
    assert agrees([(sample - rng.random()) / total for total, _, sample in settings], stats.uniform)
    assert agrees([(positive - rng.random()) / total for total, positive, _ in settings], stats.uniform)


@pytest.mark.parametrize("name", ["geometric", "geometric_beta", "zipfian", "negative_binomial", "poisson"])
def test_values_are_exact_integers_from_the_start_of_the_support(name):
    drawn = [output for example in processes(name) for output in outputs(example)]
    assert all(re.fullmatch(r"0|[1-9]\d*", output) for output in set(drawn))
    assert max(map(int, drawn)) <= 2**53 - 1
    assert min(map(int, drawn)) == (0 if name in {"negative_binomial", "poisson"} else 1)


def test_multinomial_draws_are_counts_in_one_form_per_process():
    objects = 0
    for example in processes("multinomial"):
        n, k, *_ = numbers(example.descriptions[0])
        forms = {output[0] for output in outputs(example)}
        assert len(forms) == 1
        objects += forms == {"{"}
        for output in outputs(example, 5):
            if output[0] == "{":
                parsed = json.loads(output)
                assert list(parsed) == [str(category) for category in range(int(k))]
                counts = list(parsed.values())
            else:
                counts = numbers(output)
            assert (len(counts), sum(counts)) == (k, n)
    assert stats.binomtest(objects, 500).pvalue > LEVEL


def test_coins_name_the_likelier_side():
    for coin in processes("coinflip"):
        p_heads, p_tails = told(coin, "Tosses of a coin with P(Heads)")
        [text] = [text for text in coin.descriptions if "likelier" in text]
        if p_heads != p_tails:
            assert text.endswith("Heads is likelier than Tails.") == (p_heads > p_tails)
        assert 0 < p_heads < 1
        assert p_heads + p_tails == pytest.approx(1, abs=0.01)
        heads, tails = told(coin, "A coin is tossed.")
        assert heads == pytest.approx(100 * p_heads, abs=0.51)
        assert tails == pytest.approx(100 * p_tails, abs=0.51)
    assert parametric.TASKS[0].options == ("Heads", "Tails")


def test_normal_draws_follow_the_described_mean_and_standard_deviation():
    rng, pooled = np.random.default_rng(0), []
    for example in processes("normal"):
        mean, sd, decimals = parse_normal(example)
        drawn = np.array([float(output) for output in outputs(example)])
        jitter = (rng.random(len(drawn)) - 0.5) * 10.0**-decimals  # undo the rounding
        pooled.append(stats.norm(mean, sd).cdf(drawn + jitter)[:20])
    assert stats.kstest(np.concatenate(pooled), "uniform").pvalue > LEVEL


def parse_normal(example):
    [text] = [text for text in example.descriptions if ", printed with" in text and "mean" in text]
    mean, sd, decimals = numbers(text)
    return mean, sd, int(decimals)


def test_normal_draws_do_not_collapse_and_have_the_described_decimals():
    scales = []
    for example in processes("normal"):
        _, sd, decimals = parse_normal(example)
        drawn = outputs(example)
        assert all(re.fullmatch(rf"-?\d+\.\d{{{decimals}}}", output) for output in drawn)
        assert not any(re.fullmatch(r"-0\.0*", output) for output in drawn)
        assert len(set(drawn)) >= min(20, len(drawn) / 3)
        assert 10.0**-decimals <= sd / 9.99
        scales.append(np.log10(sd))
    assert min(scales) < -3
    assert max(scales) > 3
    everyday = [d for *_, sd, d in map(parse_normal, processes("normal")) if sd > 1]
    assert np.mean(everyday) == pytest.approx(4, abs=0.4)  # Poisson(3) + 1 where the scale allows


def test_phrasings_of_a_normal_distribution_agree():
    for example in processes("normal"):
        mean, sd, _ = parse_normal(example)
        for text in example.descriptions:
            if len(found := numbers(text)) >= 2:
                assert found[0] == pytest.approx(mean, rel=0.006)
                assert found[1] == pytest.approx(sd, rel=0.006)


def test_the_deck():
    task, _ = cards_deck.TASKS
    [deck] = processes("cards")
    cards = outputs(deck)
    assert sorted(cards) == sorted(r + s for r in (*map(str, range(2, 11)), *"JQKA") for s in "♠♥♦♣")
    assert (task.sequences.mode, task.sequences.count, task.sequences.length) == ("several", 100, None)
    assert task.options == tuple(cards)


@pytest.mark.parametrize("name", sorted(TASK))
def test_texts_hold_no_leftovers(name):
    for example in processes(name)[:200]:
        texts = [*example.descriptions, *(outputs(example) if name != "multinomial" else ())]
        assert not any(re.search(r"[{}\[\]]|\b(nan|inf|None|np)\b", text) for text in texts)


def test_shares_are_whole_ten_thousandths_that_sum_to_one():
    for k in (2, 3, 12, 60):
        shares = exact_numbers.random_shares(generator("shares", k), k)
        assert shares.shape == (k,)
        assert np.allclose(shares * 10_000, np.round(shares * 10_000), atol=1e-9)
        assert round(shares.sum() * 10_000) == 10_000
    # The first of k flat Dirichlet shares is Beta(1, k - 1).
    first = [exact_numbers.random_shares(generator("first", i), 3)[0] for i in range(2000)]
    assert stats.kstest(first, stats.beta(1, 2).cdf).pvalue > LEVEL


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [(0.257, 2, "0.26"), (0.0004, 2, "0.0004"), (0.997, 2, "0.997"), (0.9999, 3, "0.9999"), (0.5, 3, "0.500")],
)
def test_rounding_never_reaches_certainty(share, decimals, text):
    assert exact_numbers.rounded(share, decimals) == text


def test_numbers_are_told_without_an_exponent():
    assert exact_numbers.plain(1.25e-07) == "0.000000125"
    assert exact_numbers.plain(3.0e12) == "3000000000000"
    assert exact_numbers.percent(0.0004) == "0.04%"
    assert exact_numbers.percent(0.29) == "29%"
    assert exact_numbers.significant(1234.56789) == 1234.57


def plain_numbers(text):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("name", ["dist_coinflip", "dist_categorical", "dist_binomial", "dist_hypergeometric"])
def test_targets_are_those_of_scipy_at_the_described_parameters(name):
    examples = processes(name)
    assert len(examples) == 100
    assert EVERY_TASK[name].origin == "ours"
    for example in examples:
        told = plain_numbers(example.descriptions[0])
        options = example.target.options
        match name:
            case "dist_coinflip":
                expected = told
                assert options == ("Heads", "Tails")
                assert plain_numbers(example.descriptions[1]) == told[:1]
                assert plain_numbers(example.descriptions[2]) == pytest.approx([100 * share for share in told])
            case "dist_categorical":
                expected = told[1:]
                assert options == tuple(map(str, range(int(told[0]))))
                assert 2 <= told[0] <= 12
            case "dist_binomial":
                n, p = int(told[0]), told[1]
                expected = stats.binom(n, p).pmf(range(n + 1))
                assert options == tuple(map(str, range(n + 1)))
                assert 2 <= n <= 20
            case "dist_hypergeometric":
                total, positive, sample = map(int, told)
                distribution = stats.hypergeom(total, positive, sample)
                low, high = map(int, distribution.support())
                expected = distribution.pmf(range(low, high + 1))
                assert options == tuple(map(str, range(low, high + 1)))
                assert total <= 30
        assert example.target.probabilities == pytest.approx(list(expected), abs=1e-12)
        assert example.target.input is None


@pytest.mark.parametrize("name", ["dist_categorical", "dist_binomial", "dist_hypergeometric", "dist_coinflip"])
def test_settings_differ_and_depend_on_the_generator_alone(name):
    examples = processes(name)
    assert len({example.descriptions for example in examples}) > (20 if name == "dist_coinflip" else 95)
    assert EVERY_TASK[name].generate(generator(42, name, "process", 3), 3) == examples[3]


def test_fresh_coins_have_biases_that_no_training_coin_has():
    fresh = {example.target.probabilities[0] for example in processes("dist_coinflip")}
    trained = {
        plain_numbers(text)[0]
        for text in (example.descriptions[0] for example in processes("small_settings")[:1000])
        if text.startswith("Tosses")
    }
    assert len(trained) > 50
    assert not fresh & trained


def test_a_case_by_hand():
    assert parametric.binomial_pmf(3, 0.5) == [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    # 5 items, 3 positive, 4 drawn: at least 2 positives; 2 leaves out a positive (3 of 5 ways), 3 the others (2 of 5)
    assert parametric.hypergeometric_pmf(5, 3, 4) == {2: 3 / 5, 3: 2 / 5}
