"""Training-time markers of a model: does it infer them, does it keep to those that are set, and what do they move.

A model is asked for the same responses in several ways, after arXiv 2506.14702, sections 4 and 5:

    inferred      nothing is set; a model that was tuned with markers writes them first
    words         a limit of length is said in the words of the instruction, nothing is set
    fixed         the limit is set as the marker ``length_tokens``, and the instruction says nothing of it
    set           ``length_tokens`` is 10, 25, 50, 100 or 200; or ``lang``, ``format`` or ``code_type`` is a frequent
                  value

A model whose tokenizer takes no markers is asked without any, as the baseline of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.markers.score_markers import (
    SHOWN,
    by_bucket,
    frequency_buckets,
    length_correlation,
    lines_in,
    marker_accuracy,
    mean_of,
    shows,
    violates,
)
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.win_rate import compare_responses
from spectrum_suite.evaluation.work import DataWork, messages_fingerprint, seconds_of
from spectrum_suite.formats.render import Message
from spectrum_suite.instruction_data import named_data
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.markers.annotate import COLUMN
from spectrum_suite.markers.marked import MarkedResponse, strip_markers, takes_markers
from spectrum_suite.markers.marked_rows import load_marked
from spectrum_suite.markers.marker_list import mark_completion, mark_prompt
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy, Value, load_taxonomy

PART = 16
"""Conversations that are answered in a part of the work."""
LIMITS = (10, 25, 50)
"""Words at most that conversations are limited to, one after another. A word has at least one token, so a marker of as
many tokens keeps within the limit."""
WANTED = (10, 25, 50, 100, 200)
"""Numbers of tokens that are asked for, to be compared with what comes."""
VALUES = {"lang": 5, "format": 2, "code_type": 2}
"""So many values of a category are set, the most frequent ones of the data."""
MIN_ROWS = 2
"""Rows with a value, for it to be set: a model has hardly learned a value that occurs once."""

_LIMITED = "\n\nAnswer in at most {limit} words."


@dataclass(frozen=True)
class Setting:
    """A way to ask for a response.

    Attributes:
        name: ``inferred``, ``words``, ``fixed``, or a category that is set.
        value: What it is set to.
    """

    name: str
    value: Value | None = None

    @property
    def label(self) -> str:
        """Its name among the parts of the work."""
        return self.name if self.value is None else f"{self.name}={self.value}"

    @property
    def plain(self) -> bool:
        """Whether it sets no marker, so that a model without markers can be asked so as well."""
        return self.name in ("inferred", "words")


@dataclass(frozen=True)
class MarkersItem:
    """A conversation, and what a model makes of it.

    Attributes:
        id: Of the conversation.
        instruction: What its last input says.
        markers: Its own markers.
        limit: The words that a response may have.
        nats_per_token: Of its own response, after the list that the model inferred, and ``fixed`` after its own.
        responses: Label of a setting -> the model's response.
    """

    id: str
    instruction: str
    markers: Markers
    limit: int
    nats_per_token: Mapping[str, float]
    responses: Mapping[str, MarkedResponse]


class MarkersWork(DataWork):
    """The annotated conversations of a dataset, answered in every setting and scored by likelihood."""

    questions = ("respond", "option_logprobs")

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The categories."""
        path = self.settings.marker_taxonomy
        return TAXONOMY if path is None else load_taxonomy(path)

    @cached_property
    def rows(self) -> Dataset:
        """All annotated conversations.

        Raises:
            UserError: They are not annotated, or are not conversations.
        """
        data = named_data(self.settings.data)[self.task]
        rows, _ = load_marked(
            [data],
            categories=self.settings.marker_categories,
            taxonomy=self.taxonomy,
            split=self.settings.data_split,
        )
        if any(len(markers) > 1 for markers in rows[COLUMN]):
            raise UserError(f"data {data!r} has rows of several outputs: markers are evaluated on instruction data")
        return rows

    @cached_property
    def truth(self) -> list[Markers]:
        """The markers of these."""
        return [self.taxonomy.check(markers) for (markers,) in self.drawn[COLUMN]]

    @cached_property
    def everywhere(self) -> list[Markers]:
        """The markers of all conversations."""
        return [self.taxonomy.check(markers) for (markers,) in self.rows[COLUMN]]

    @cached_property
    def settings_of_rows(self) -> list[Setting]:
        """All ways in which the rows are asked."""
        found = [Setting("inferred"), Setting("words"), Setting("fixed")]
        found += [Setting("length_tokens", wanted) for wanted in WANTED]
        for category in SHOWN:
            counts = Counter(markers[category] for markers in self.truth if category in markers)
            frequent = [value for value, count in counts.most_common(VALUES[category]) if count >= MIN_ROWS]
            found += [Setting(category, value) for value in frequent]
        return found

    def limit(self, row: int) -> int:
        """The words that the response to a row may have."""
        return LIMITS[row % len(LIMITS)]

    def prompt(self, row: int, setting: Setting) -> list[Message]:
        """What a model is asked."""
        *before, asked = self.conversations[row][:-1]
        if setting.name == "words":
            return [*before, asked | {"content": asked["content"] + _LIMITED.format(limit=self.limit(row))}]
        if setting.name == "inferred":
            return [*before, asked]
        markers = {"length_tokens": self.limit(row)} if setting.name == "fixed" else {setting.name: setting.value}
        return mark_prompt([*before, asked], markers)

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`: some rows, in every setting."""
        settings = [setting.label for setting in self.settings_of_rows]
        for start in range(0, len(self.drawn), PART):
            rows = self.drawn.select(self._numbers(start))
            depends = {"rows": messages_fingerprint(rows), "markers": rows[COLUMN][:], "settings": settings}
            yield str(start), depends | {"max_new_tokens": self.settings.max_new_tokens}

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`; a model without markers leaves out what sets some."""
        numbers, marked = self._numbers(int(part)), takes_markers(lm.tokenizer)
        answers = self._answers(numbers, lm, marked=marked)
        return {
            "marked": marked,
            "responses": {label: [asdict(each) for each in some] for label, some in answers.items()},
            "likelihood": self._likelihood(numbers, answers["inferred"], lm, marked=marked),
        }

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        answers = self._collected(results)
        likelihood = self._likelihoods(results)
        inferred, marked = answers["inferred"], all(result["marked"] for result in results.values())
        wins = self._wins(inferred)
        return finite(
            {
                "n": len(self.drawn),
                "n_available": len(self.rows),
                "seconds": seconds_of(results),
                "rows_fingerprint": messages_fingerprint(self.drawn),
                "marked": marked,
                "accuracy": marker_accuracy(self.truth, [each.markers for each in inferred], self.taxonomy)
                if marked
                else None,
                "own_length_error": self._own_length_error(inferred) if marked else None,
                "length_violation": self._violations(answers),
                "length_curve": [self._curve_point(answers[f"length_tokens={wanted}"], wanted) for wanted in WANTED]
                if marked
                else None,
                "length_correlation": length_correlation(
                    {wanted: [each.tokens for each in answers[f"length_tokens={wanted}"]] for wanted in WANTED}
                )
                if marked
                else None,
                "moved": self._moved(answers),
                "lines_in_language": self._languages(answers),
                "nats_per_token": {name: mean_of(values) for name, values in likelihood.items()},
                "n_failed": sum(value is None for values in likelihood.values() for value in values),
                "by_frequency": {
                    category: self._by_frequency(category, likelihood, wins)
                    for category in ("domain", "task", "format", "lang")
                },
                "problems": Counter(problem for each in inferred for problem in each.problems) if marked else None,
                "items": list(map(asdict, self._items(answers, likelihood))),
            }
        )

    def compare(self, mine: Section, theirs: Section) -> dict[str, Any]:
        """A section compared with another model's on the same rows: the other is the baseline of the length limit.

        Raises:
            UserError: They are of different rows.
        """
        if mine["rows_fingerprint"] != theirs["rows_fingerprint"]:
            raise UserError(self.of_other_rows)
        mine_kept, other_kept = mine["length_violation"], theirs["length_violation"]
        violation = {"baseline": other_kept["words"], "inferred": mine_kept["words"], "fixed": mine_kept["fixed"]}
        too_long = [_too_long(mine, "fixed" if mine["marked"] else "words"), _too_long(theirs, "words")]
        nats = [[item["nats_per_token"]["inferred"] for item in side["items"]] for side in (mine, theirs)]
        return {
            "length_violation": violation,
            "too_long": paired_difference(*too_long),
            "nats_per_token": paired_difference(*nats),
        }

    def _numbers(self, start: int) -> range:
        return range(start, min(start + PART, len(self.drawn)))

    def _answers(self, numbers: Sequence[int], lm: TokenLM, *, marked: bool) -> dict[str, list[MarkedResponse]]:
        """Label of a setting -> the responses to the rows, all generated together, so that batches are full."""
        settings = [setting for setting in self.settings_of_rows if marked or setting.plain]
        prompts = [self.prompt(number, setting) for setting in settings for number in numbers]
        responses = lm.respond(prompts, max_new_tokens=self.settings.max_new_tokens)
        stripped = iter(strip_markers(responses, lm.tokenizer, self.taxonomy))
        return {setting.label: list(islice(stripped, len(numbers))) for setting in settings}

    def _likelihood(
        self, numbers: Sequence[int], inferred: Sequence[MarkedResponse], lm: TokenLM, *, marked: bool
    ) -> dict[str, list[float]]:
        """Nats per token of the rows' own completions, after the list that the model inferred, and after their own.

        Without markers there is one number: that of the plain completion.
        """
        if not marked:
            return {"inferred": self._completion_nats(numbers, [None] * len(numbers), lm, shown=False)}
        truth = [self.truth[number] for number in numbers]
        return {
            "inferred": self._completion_nats(numbers, [each.markers or None for each in inferred], lm, shown=False),
            "fixed": self._completion_nats(numbers, truth, lm, shown=True),
        }

    def _completion_nats(
        self, numbers: Sequence[int], lists: Sequence[Markers | None], lm: TokenLM, *, shown: bool
    ) -> list[float]:
        """A list and the text after it are scored as options of one prompt: the difference is the text's part.

        Args:
            numbers: The rows.
            lists: The markers in front of each completion; None for a plain one.
            lm: The model.
            shown: Whether the prompts show them too.
        """
        prompts, options, sizes = [], [], []
        for number, markers in zip(numbers, lists, strict=True):
            *before, response = self.conversations[number]
            text = response["content"]
            prompts.append(mark_prompt(before, markers) if shown and markers else before)
            options.append(
                [text] if markers is None else [mark_completion(markers, text), mark_completion(markers, "")]
            )
            sizes.append(len(lm.tokenizer(text, add_special_tokens=False).input_ids))
        scores = [each.log_probs.tolist() for each in lm.option_logprobs(prompts, options)]
        return [-(whole - sum(rest)) / size for (whole, *rest), size in zip(scores, sizes, strict=True)]

    def _collected(self, results: Mapping[str, Section]) -> dict[str, list[MarkedResponse]]:
        """Label of a setting -> the responses to all rows; none where it was left out."""
        found: dict[str, list[MarkedResponse]] = {setting.label: [] for setting in self.settings_of_rows}
        for result in results.values():
            for label, responses in result["responses"].items():
                found[label] += [MarkedResponse(**each | {"problems": tuple(each["problems"])}) for each in responses]
        return found

    def _likelihoods(self, results: Mapping[str, Section]) -> dict[str, list[float]]:
        """``inferred`` and, with markers, ``fixed`` -> nats per token of each row."""
        parts = [result["likelihood"] for result in results.values()]
        return {name: [value for part in parts for value in part[name]] for name in parts[0]}

    def _own_length_error(self, inferred: Sequence[MarkedResponse]) -> float | None:
        """How far the length that a model announces is from that of its own response: the median relative error."""
        errors = [
            abs(each.markers["length_tokens"] - each.tokens) / max(each.tokens, 1)
            for each in inferred
            if "length_tokens" in each.markers
        ]
        return float(np.median(errors)) if errors else None

    def _violations(self, answers: Mapping[str, Sequence[MarkedResponse]]) -> dict[str, Any]:
        """The share of responses that are longer than the limit, said in words and set as a marker."""
        return {
            name: mean_of(
                [violates(each.text, self.limit(row), ended=each.ended) for row, each in enumerate(answers[name])]
            )
            for name in ("words", "fixed")
        }

    def _curve_point(self, answers: Sequence[MarkedResponse], wanted: int) -> dict[str, Any]:
        """The tokens that came where so many were wanted."""
        got = [each.tokens for each in answers]
        quartiles = np.percentile(got, [25, 50, 75]).tolist()
        return {"wanted": wanted, "mean": float(np.mean(got)), "median": quartiles[1], "quartiles": quartiles[::2]}

    def _moved(self, answers: Mapping[str, Sequence[MarkedResponse]]) -> dict[str, dict[str, Any]]:
        """Category -> value -> the share of responses that have it, when it is set and when nothing is."""
        found: dict[str, dict[str, Any]] = {}
        for setting in self.settings_of_rows:
            if setting.name in SHOWN:
                having = {
                    name: mean_of(self._shown(setting, answers[label]))
                    for name, label in (("set", setting.label), ("not_set", "inferred"))
                }
                found.setdefault(setting.name, {})[str(setting.value)] = having
        return found

    def _shown(self, setting: Setting, answers: Sequence[MarkedResponse]) -> list[bool | None]:
        return [
            shows(setting.name, setting.value, self._instruction(row), each.text) for row, each in enumerate(answers)
        ]

    def _languages(self, answers: Mapping[str, Sequence[MarkedResponse]]) -> dict[str, Any]:
        """The share of responses of which every line is in the language that the row has, or that is set."""
        inferred = [
            lines_in(each.text, markers["lang"]) if "lang" in markers else None
            for markers, each in zip(self.truth, answers["inferred"], strict=True)
        ]
        fixed = [
            lines_in(each.text, str(setting.value))
            for setting in self.settings_of_rows
            if setting.name == "lang"
            for each in answers[setting.label]
        ]
        return {"inferred": mean_of(inferred), "fixed": mean_of(fixed)}

    def _wins(self, inferred: Sequence[MarkedResponse]) -> list[float] | None:
        """Whether each response is better than the row's own, where a judge says so."""
        if self.preference is None:
            return None
        asked = [self._instruction(row) for row in range(len(self.drawn))]
        own = [conversation[-1]["content"] for conversation in self.conversations]
        return compare_responses(asked, [each.text for each in inferred], own, self.preference).wins.tolist()

    def _by_frequency(
        self, category: str, likelihood: Mapping[str, list[float]], wins: list[float] | None
    ) -> dict[str, Any]:
        """Likelihood, and wins where there is a judge, of the rows with frequent and with rare values."""
        buckets = frequency_buckets(self.everywhere, category)
        scores = dict(likelihood) | ({} if wins is None else {"win_rate": wins})
        return {name: by_bucket(self.truth, values, buckets, category) for name, values in scores.items()}

    def _instruction(self, row: int) -> str:
        return self.conversations[row][-2]["content"]

    def _items(
        self, answers: Mapping[str, Sequence[MarkedResponse]], likelihood: Mapping[str, list[float]]
    ) -> Iterator[MarkersItem]:
        for row, row_id in enumerate(self.drawn["id"][:]):
            nats = {name: values[row] for name, values in likelihood.items()}
            responses = {label: found[row] for label, found in answers.items() if found}
            yield MarkersItem(row_id, self._instruction(row), self.truth[row], self.limit(row), nats, responses)


def _too_long(section: Section, name: str) -> np.ndarray:
    """(n,), 1 for each response of a setting that is longer than its limit."""
    answers = [(item["responses"][name], item["limit"]) for item in section["items"]]
    return np.array([violates(each["text"], limit, ended=each["ended"]) for each, limit in answers], dtype=float)
