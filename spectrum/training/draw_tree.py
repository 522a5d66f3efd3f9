"""Many sequences behind one description, packed as a tree of tokens: what they share is there once.

A draw that begins a sequence of its own behind the description shares the description's tokens with all others, its
first tokens with some, and all of its tokens with an equal draw. Trained as separate rows, the sequences

    D a b    D a c    D a b

are nine tokens with six targets (``a`` three times, ``b`` twice, ``c`` once). The tree has two tokens, ``D`` and
``a``, and the same six targets: the loss and its gradient are equal, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spectrum.tree_attention import ROOT, TokenTree


@dataclass
class DrawTree(TokenTree):
    """The tokens of some sequences, and what is trained after which of them.

    Attributes:
        targets: Trained tokens, one for every sequence they are trained in.
        sources: For each target the index of the token that it follows.
        trained_outputs: Outputs that are trained.
    """

    targets: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    trained_outputs: int = 0

    def add(self, path: Sequence[int], trained: int) -> None:
        """Add a sequence, or go on with one.

        Args:
            path: All its tokens. The last one becomes a token of the tree only when the sequence goes on.
            trained: So many tokens at its end are the targets of one output; 0 where it is context.
        """
        for node, token in self.steps(ROOT, path)[len(path) - trained :]:
            self.targets.append(token)
            self.sources.append(node)
        self.trained_outputs += trained > 0

    def size_with(self, path: Sequence[int]) -> int:
        """Tokens of the tree once ``path`` is in it."""
        return len(self.ids) + self.missing(path[:-1])
