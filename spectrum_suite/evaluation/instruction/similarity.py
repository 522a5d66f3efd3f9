"""Does a response look like those of the narrow task a model was tuned on, the more so the nearer its instruction is?

After Hewitt et al. 2024 (arXiv 2409.14254), who find that a model tuned on one task keeps that task's style where an
instruction resembles it, and answers plainly elsewhere. Texts are compared by TF-IDF of character 3- to 5-grams within
words: a few hundred short texts need nothing that was trained, and n-grams of characters see what makes a style
(brackets of programs, ``<<3*4=12>>`` in sums) where word vectors see topics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from spectrum_suite.errors import UserError

RESAMPLES = 1000
QUARTERS = 4


@dataclass(frozen=True)
class Similarity:
    """How near each instruction is to a task, and how much its response looks like the task's.

    Attributes:
        nearness: (n,), the largest cosine similarity of the instruction to one of the task's instructions.
        likeness: (n,), the cosine similarity of the response to the mean of the task's responses.
    """

    nearness: np.ndarray
    likeness: np.ndarray

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation of the two; NaN where one of them does not vary."""
        return _spearman(self.nearness, self.likeness)

    def section(self, seed: int = 0) -> dict[str, object]:
        """The correlation with its 95% bootstrap interval, and the mean likeness by quarter of nearness."""
        draws = np.random.default_rng(seed).integers(len(self.nearness), size=(RESAMPLES, len(self.nearness)))
        correlations = np.array([_spearman(self.nearness[draw], self.likeness[draw]) for draw in draws])
        known = correlations[~np.isnan(correlations)]
        interval = np.percentile(known, [2.5, 97.5]).tolist() if len(known) else [np.nan, np.nan]
        quarters = np.array_split(np.argsort(self.nearness, kind="stable"), QUARTERS)
        return {
            "n": len(self.nearness),
            "correlation": self.correlation,
            "ci95": interval,
            "nearness_by_quarter": [float(self.nearness[part].mean()) for part in quarters if len(part)],
            "likeness_by_quarter": [float(self.likeness[part].mean()) for part in quarters if len(part)],
        }


def similarity_to_task(
    instructions: Sequence[str], responses: Sequence[str], task: Sequence[tuple[str, str]]
) -> Similarity:
    """Compare responses with those of a narrow task.

    Args:
        instructions: Any instructions.
        responses: A model's response to each.
        task: (instruction, response) pairs that the model was tuned on.

    Raises:
        UserError: There are no responses, not one per instruction, or no pairs.
    """
    if not task or not instructions or len(instructions) != len(responses):
        raise UserError(
            f"similarity needs a response per instruction and a task, but there are {len(instructions)} instructions, "
            f"{len(responses)} responses and {len(task)} pairs of the task: give all three"
        )
    asked, answered = zip(*task, strict=True)
    given, known = _vectors(instructions, asked)
    nearness = (given @ known.T).max(axis=1).toarray().ravel()
    given, known = _vectors(responses, answered)
    center = np.asarray(known.mean(axis=0)).ravel()
    length = np.linalg.norm(center)
    return Similarity(nearness, given @ center / length if length else np.zeros(len(responses)))


def _vectors(texts: Sequence[str], others: Sequence[str]) -> tuple:
    """Two matrices of TF-IDF vectors of length 1, with the weights of all texts together."""
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(
        [*texts, *others]
    )
    return vectors[: len(texts)], vectors[len(texts) :]


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one, other).statistic)
