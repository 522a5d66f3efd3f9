"""The quality of examples from a score: as it is, and as the quartile within the example's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

N_BUCKETS = 4


def quality_buckets(scores: Sequence[float | None], langs: Sequence[str | None]) -> list[int | None]:
    """Quartile of each score among those of its language, 1 for the best; equal scores share the better one.

    Args:
        scores: Higher is better; None is not scored.
        langs: The language of each example; examples of no known language are compared with one another.

    Returns:
        1 to 4 for each score, None where there is none.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for index, (score, lang) in enumerate(zip(scores, langs, strict=True)):
        if score is not None:
            members[lang].append(index)
    buckets: list[int | None] = [None] * len(scores)
    for indices in members.values():
        ordered = np.sort([-scores[index] for index in indices])
        for index in indices:
            n_better = int(np.searchsorted(ordered, -scores[index], side="left"))
            buckets[index] = 1 + N_BUCKETS * n_better // len(indices)
    return buckets
