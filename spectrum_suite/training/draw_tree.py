"""Many sequences after one description, packed as a tree of tokens: what they share is there once.

A draw that begins a sequence of its own after the description shares the description's tokens with all others, its
first tokens with some, and all of its tokens with an equal draw. Trained as separate rows, the sequences

    D a b    D a c    D a b

are nine tokens with six targets (``a`` three times, ``b`` twice, ``c`` once). The tree has two tokens, ``D`` and
``a``, and the same six targets: the loss and its gradient are equal, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spectrum_suite.tree_attention import ROOT, Step, TokenTree


@dataclass
class DrawTree(TokenTree):
    """The tokens of some sequences, and what is trained after which of them.

    Attributes:
        targets: Trained tokens, one for every sequence they are trained in.
        sources: For each target the index of the token that it follows.
        weights: For each target how many draws it counts as; empty where each counts as one.
        trained_outputs: Outputs that are trained.
        option_paths: For each option of a trie the targets that it passes through.
    """

    targets: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    trained_outputs: int = 0
    option_paths: list[list[int]] = field(default_factory=list)

    def begin(self, tokens: Sequence[int]) -> Step | None:
        """Put the tokens with which all sequences begin; returns their end, None if there are none."""
        return self.steps(ROOT, tokens)[-1] if tokens else None

    def add(self, end: Step | None, tokens: Sequence[int], trained: int) -> Step:
        """Go on with a sequence.

        Args:
            end: Where it ends so far: its last token, which becomes a token of the tree only now that it continues.
            tokens: At least one.
            trained: So many tokens at its end are the targets of one output; 0 where it is context.

        Returns:
            Where it ends now.
        """
        steps = self.steps(ROOT if end is None else self._child(*end), tokens)
        for node, token in steps[len(tokens) - trained :]:
            self.targets.append(token)
            self.sources.append(node)
        self.trained_outputs += trained > 0
        return steps[-1]

    def add_options(
        self, node: int, options: Sequence[Sequence[int]], weights: Sequence[float], *, every: bool = False
    ) -> None:
        """Put the trie of some options after ``node``; a step counts as much as the options that pass through it.

        Args:
            node: The last token before them.
            options: Their tokens, with those that end an output.
            weights: How many draws each of them counts as; one that counts as none is left out.
            every: Leave none out.
        """
        passing: dict[Step, float] = {}
        paths: list[list[Step]] = []
        for tokens, weight in zip(options, weights, strict=True):
            if not weight and not every:
                continue
            steps = self.steps(node, tokens)
            for step in steps:
                passing[step] = passing.get(step, 0.0) + weight
            paths.append(steps)
            self.trained_outputs += 1
        places = {step: place for place, step in enumerate(passing, len(self.targets))}
        self.option_paths += [[places[step] for step in steps] for steps in paths]
        for (source, token), weight in passing.items():
            self.sources.append(source)
            self.targets.append(token)
            self.weights.append(weight)

    def size_with(self, end: Step | None, tokens: Sequence[int]) -> int:
        """Tokens of the tree once a sequence continues with ``tokens``."""
        if end is None:
            return len(self.ids) + self.missing(tokens[:-1])
        node, last = end
        return len(self.ids) + self.missing((last, *tokens[:-1]), node)
