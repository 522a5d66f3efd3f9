"""Instruction following of a model: it ranks responses, and gives some, which are measured and compared with others."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.instruction.ranking import Ranking, random_pairs, rank_responses
from spectrum_suite.evaluation.instruction.response_format import format_measures, summarize_formats
from spectrum_suite.evaluation.instruction.similarity import similarity_to_task
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.steerability.score_steerability import sequences_fingerprint
from spectrum_suite.evaluation.win_rate import compare_responses
from spectrum_suite.evaluation.work import DataWork
from spectrum_suite.generation.respond import Response
from spectrum_suite.instruction_data import load_conversations, named_data
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM

PART = 16
"""Conversations that are answered, or pairs that are ranked, in a part of the work."""


@dataclass(frozen=True)
class Answered:
    """A conversation and a model's response in the place of its own.

    Attributes:
        id: Of the conversation.
        instruction: What its last input says.
        reference: Its own response.
        response: The model's.
    """

    id: str
    instruction: str
    reference: str
    response: Response

    def as_dict(self) -> dict[str, Any]:
        """For a report, with the format measures of the response as ``scores``."""
        return {
            "id": self.id,
            "instruction": self.instruction,
            "reference": self.reference,
            "response": self.response.text,
            "scores": format_measures(self.instruction, self.response),
        }


class InstructionWork(DataWork):
    """The conversations of a data set: pairs of them are ranked, and their instructions answered, some at a time.

    What is said of the responses as texts is said when the report is made: by another judge in a moment.
    """

    what = "conversations"

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
            yield f"ranking-{start}", {"rows": sequences_fingerprint(rows)}
        for start in range(0, len(self.drawn), PART):
            rows = self.drawn.select(range(start, min(start + PART, len(self.drawn))))
            depends = {"rows": sequences_fingerprint(rows), "max_new_tokens": self.settings.max_new_tokens}
            yield f"responses-{start}", depends

    def measure(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        started = time.monotonic()
        kind, _, start = part.partition("-")
        some = slice(int(start), int(start) + PART)
        if kind == "ranking":
            found = asdict(rank_responses(lm, self.conversations, self.pairs[some]))
        else:
            prompts = [conversation[:-1] for conversation in self.conversations[some]]
            responses = lm.respond(prompts, max_new_tokens=self.settings.max_new_tokens)
            found = {"responses": list(map(asdict, responses))}
        return finite(found) | {"seconds": time.monotonic() - started}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        ranked = [result for result in results.values() if "margins" in result]
        ranking = Ranking(
            tuple(tuple(pair) for result in ranked for pair in result["pairs"]),
            tuple(_sides(sides) for result in ranked for sides in result["margins"]),
        )
        responses = [Response(**each) for result in results.values() for each in result.get("responses", ())]
        answered = [
            Answered(row_id, conversation[-2]["content"], conversation[-1]["content"], response)
            for row_id, conversation, response in zip(self.drawn["id"][:], self.conversations, responses, strict=True)
        ]
        items = [each.as_dict() for each in answered]
        ids = [[self.drawn["id"][index] for index in pair] for pair in ranking.pairs]
        return finite(
            {
                "n": len(items),
                "n_available": len(self.rows),
                "seconds": round(sum(result["seconds"] for result in results.values()), 2),
                "rows_fingerprint": sequences_fingerprint(self.drawn),
                "ranking": ranking.section() | {"pairs": ids, "margins": ranking.margins},
                "format": summarize_formats([item["scores"] for item in items]),
                "win_rate": self._win_rate([(e.instruction, e.response.text, e.reference) for e in answered]),
                "similarity": self._similarity(answered),
                "items": items,
            }
        )

    def compare(self, mine: Section, theirs: Section) -> dict[str, Any]:
        """A section set against another model's on the same data.

        Returns:
            ``ranking`` and each format measure -> ``difference``, ``ci95`` (paired bootstrap) and ``n``; ``win_rate``
            over the other model, or None.

        Raises:
            UserError: They are of other conversations.
        """
        if mine["rows_fingerprint"] != theirs["rows_fingerprint"]:
            raise UserError(
                f"the two reports have other conversations of {self.task!r}: evaluate both with the same data, limit "
                "and seed"
            )
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

    def _similarity(self, answered: Sequence[Answered]) -> dict[str, Any] | None:
        """To the responses of a narrow task."""
        if self.settings.similar_to is None:
            return None
        pairs = [
            (conversation[-2]["content"], conversation[-1]["content"])
            for conversation in load_conversations(self.settings.similar_to)["messages"]
        ]
        found = similarity_to_task(
            [each.instruction for each in answered], [each.response.text for each in answered], pairs
        )
        return {"to": Path(self.settings.similar_to).stem} | found.section()


def _ranking(section: Section) -> Ranking:
    found = section["ranking"]
    return Ranking(tuple(map(tuple, found["pairs"])), tuple(map(_sides, found["margins"])))


def _sides(margins: Sequence[float | None]) -> tuple[float, float]:
    """Margins as they are kept, where None is no number."""
    one, two = (math.nan if margin is None else margin for margin in margins)
    return one, two
