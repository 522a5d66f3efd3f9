"""Which markers a prompt shows while training, so that a model learns to do without any of them.

A completion keeps all of its markers: there is nothing here for that side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spectrum_suite.errors import UserError
from spectrum_suite.markers.taxonomy import Markers, Value
from spectrum_suite.seeding import generator


@dataclass(frozen=True)
class MarkerDropout:
    """Both dropouts of arXiv 2506.14702. What is random depends on the seed, the epoch and the row alone.

    Attributes:
        dataset: The share of examples whose prompt has no markers at all.
        sample: The share of its markers that any other prompt loses, chosen at random. Of an odd number the half is
            rounded up or down at random, so that the share holds on average.
        seed: As in training.
    """

    dataset: float = 0.5
    sample: float = 0.5
    seed: int = 42

    def __post_init__(self) -> None:
        for name, share in (("dataset", self.dataset), ("sample", self.sample)):
            if not 0 <= share <= 1:
                raise UserError(f"the {name} dropout of markers is {share}: give a share from 0 to 1")

    def prompt_markers(self, markers: Mapping[str, Value], *, epoch: int, row: int, draw: int = 0) -> Markers:
        """Those of ``markers`` that the prompt shows in this epoch, in their order.

        Args:
            markers: All markers of an example.
            epoch: From 0; the dropout is drawn anew in each.
            row: The number of the example's row.
            draw: Which output of the row, where it has several.
        """
        rng = generator(self.seed, "markers", epoch, row, draw)
        if rng.random() < self.dataset:
            return {}
        n_dropped = int(len(markers) * self.sample + rng.random())
        dropped = set(rng.choice(list(markers), size=n_dropped, replace=False).tolist()) if n_dropped else set()
        return {name: value for name, value in markers.items() if name not in dropped}
