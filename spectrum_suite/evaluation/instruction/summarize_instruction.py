"""Instruction following of a model: it ranks responses, and gives some, which are measured and compared with others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.instruction.score_instruction import (
    Conversation,
    Ranking,
    format_measures,
    random_pairs,
    rank_responses,
    summarize_formats,
)
from spectrum_suite.evaluation.instruction.similarity import similarity_to_task
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.win_rate import compare_responses
from spectrum_suite.evaluation.work import DataWork, messages_fingerprint, seconds_of
from spectrum_suite.generation.respond import Response
from spectrum_suite.instruction_data import load_conversations, named_data
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM

PART = 16
"""Conversations that are answered, or pairs that are ranked, in a part of the work."""


@dataclass(frozen=True)
class InstructionItem:
    """A conversation and a model's response in the place of its own.

    Attributes:
        id: Of the conversation.
        instruction: What its last input says.
        reference: Its own response.
        response: The model's.
        scores: The format measures of the response.
    """

    id: str
    instruction: str
    reference: str
    response: str
    scores: Mapping[str, float]

    @classmethod
    def of(cls, row_id: str, conversation: Conversation, response: Response) -> InstructionItem:
        """That of a response to a conversation."""
        instruction, reference = (message["content"] for message in conversation[-2:])
        return cls(row_id, instruction, reference, response.text, format_measures(instruction, response))


class InstructionWork(DataWork):
    """The conversations of a dataset: pairs of them are ranked, and their instructions answered, some at a time.

    What is said of the responses as texts is said when the report is made: by another judge in a moment.
    """

    what = "conversations"
    questions = ("option_logprobs", "respond")

    @cached_property
    def rows(self) -> Dataset:
        """All conversations."""
        settings = self.settings
        return load_conversations(
            named_data(settings.data)[self.task], layout=settings.layout, split=settings.data_split
        )

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs that are ranked."""
        return random_pairs(len(self.drawn), seed=self.settings.seed)

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        for start in range(0, len(self.pairs), PART):
            rows = self.drawn.select(chain.from_iterable(self.pairs[start : start + PART]))
            yield f"ranking-{start}", {"rows": messages_fingerprint(rows)}
        for start in range(0, len(self.drawn), PART):
            rows = self.drawn.select(range(start, min(start + PART, len(self.drawn))))
            depends = {"rows": messages_fingerprint(rows), "max_new_tokens": self.settings.max_new_tokens}
            yield f"responses-{start}", depends

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        kind, _, start = part.partition("-")
        some = slice(int(start), int(start) + PART)
        if kind == "ranking":
            return asdict(rank_responses(lm, self.conversations, self.pairs[some]))
        prompts = [conversation[:-1] for conversation in self.conversations[some]]
        return {"responses": list(map(asdict, lm.respond(prompts, max_new_tokens=self.settings.max_new_tokens)))}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        ranked = [result for result in results.values() if "margins" in result]
        ranking = Ranking(
            tuple(tuple(pair) for result in ranked for pair in result["pairs"]),
            tuple(_sides(sides) for result in ranked for sides in result["margins"]),
        )
        responses = [Response(**each) for result in results.values() for each in result.get("responses", ())]
        items = list(map(InstructionItem.of, self.drawn["id"][:], self.conversations, responses))
        ids = [[self.drawn["id"][index] for index in pair] for pair in ranking.pairs]
        return finite(
            {
                "n": len(items),
                "n_available": len(self.rows),
                "seconds": seconds_of(results),
                "rows_fingerprint": messages_fingerprint(self.drawn),
                "ranking": ranking.section() | {"pairs": ids, "margins": ranking.margins},
                "format": summarize_formats([item.scores for item in items]),
                "win_rate": self._win_rate([(item.instruction, item.response, item.reference) for item in items]),
                "similarity": self._similarity(items),
                "items": list(map(asdict, items)),
            }
        )

    def compare(self, mine: Section, theirs: Section) -> dict[str, Any]:
        """A section compared with another model's on the same data.

        Returns:
            ``ranking`` and each format measure -> ``difference``, ``ci95`` (paired bootstrap) and ``n``; ``win_rate``
            over the other model, or None.

        Raises:
            UserError: They are of different conversations.
        """
        if mine["rows_fingerprint"] != theirs["rows_fingerprint"]:
            raise UserError(self.of_other_rows)
        columns = {
            name: [[item["scores"][name] for item in side["items"]] for side in (mine, theirs)]
            for name in mine["format"]
        }
        columns["ranking"] = [_ranking(side).scores for side in (mine, theirs)]
        texts = [
            (item["instruction"], item["response"], other["response"])
            for item, other in zip(mine["items"], theirs["items"], strict=True)
        ]
        found: dict[str, Any] = {name: paired_difference(*sides) for name, sides in columns.items()}
        return found | {"win_rate": self._win_rate(texts)}

    def _win_rate(self, texts: Sequence[tuple[str, str, str]]) -> dict[str, Any] | None:
        """Of the first responses over the second, from (instruction, response, other response)."""
        if self.preference is None:
            return None
        return compare_responses(*zip(*texts, strict=True), self.preference).section()

    def _similarity(self, items: Sequence[InstructionItem]) -> dict[str, Any] | None:
        """To the responses of a narrow task."""
        if self.settings.similar_to is None:
            return None
        pairs = [
            (conversation[-2]["content"], conversation[-1]["content"])
            for conversation in load_conversations(self.settings.similar_to)["messages"]
        ]
        found = similarity_to_task([item.instruction for item in items], [item.response for item in items], pairs)
        return {"to": Path(self.settings.similar_to).stem} | found.section()


def _ranking(section: Section) -> Ranking:
    found = section["ranking"]
    return Ranking(tuple(map(tuple, found["pairs"])), tuple(map(_sides, found["margins"])))


def _sides(margins: Sequence[float | None]) -> tuple[float, float]:
    """Margins as they are kept, where None stands for NaN."""
    one, two = (math.nan if margin is None else margin for margin in margins)
    return one, two
