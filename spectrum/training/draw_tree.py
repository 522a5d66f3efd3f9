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

    def grow(self, other: DrawTree) -> None:
        """Put another tree beside this one; no token of either comes before one of the other."""
        offset = len(self.ids)
        self.ids += other.ids
        self.parents += [parent if parent == ROOT else parent + offset for parent in other.parents]
        self.targets += other.targets
        self.sources += [source + offset for source in other.sources]
        self.trained_outputs += other.trained_outputs

    def _child(self, node: int, token: int) -> int:
        if (node, token) not in self._nodes:
            self._nodes[node, token] = len(self.ids)
            self.ids.append(token)
            self.parents.append(node)
        return self._nodes[node, token]


def packed(trees: Sequence[DrawTree], size: int) -> list[DrawTree]:
    """The trees side by side in as few rows of at most ``size`` tokens as first fit, largest first, finds.

    Rows of one tree each would be padded to the largest: of the quickstart's tokens 41% were padding.
    """
    rows: list[DrawTree] = []
    for tree in sorted(trees, key=lambda tree: -len(tree.ids)):
        row = next((row for row in rows if len(row.ids) + len(tree.ids) <= size), None)
        if row is None:
            rows.append(row := DrawTree())
        row.grow(tree)
    return rows
