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

ROOT = -1


@dataclass
class DrawTree:
    """The tokens of some sequences, and what is trained after which of them.

    Attributes:
        ids: Token ids; a token comes after its parent.
        parents: For each token the index of the token before it, or ``ROOT``.
        targets: Trained tokens, one for every sequence they are trained in.
        sources: For each target the index of the token that it follows.
        trained_outputs: Outputs that are trained.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    trained_outputs: int = 0
    _nodes: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, path: Sequence[int], trained: int) -> None:
        """Add a sequence, or go on with one.

        Args:
            path: All its tokens. The last one becomes a token of the tree only when the sequence goes on.
            trained: So many tokens at its end are the targets of one output; 0 where it is context.
        """
        node = ROOT
        for index, token in enumerate(path):
            if index >= len(path) - trained:
                self.targets.append(token)
                self.sources.append(node)
            if index < len(path) - 1:
                node = self._child(node, token)
        self.trained_outputs += trained > 0

    def size_with(self, path: Sequence[int]) -> int:
        """Tokens of the tree once ``path`` is in it."""
        node: int | None = ROOT
        for shared, token in enumerate(path[:-1]):
            node = self._nodes.get((node, token))
            if node is None:
                return len(self.ids) + len(path) - 1 - shared
        return len(self.ids)

    def _child(self, node: int, token: int) -> int:
        if (node, token) not in self._nodes:
            self._nodes[node, token] = len(self.ids)
            self.ids.append(token)
            self.parents.append(node)
        return self._nodes[node, token]
