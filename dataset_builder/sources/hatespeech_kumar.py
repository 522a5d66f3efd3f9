"""How toxic single raters find comments from social media (Kumar et al. 2021).

Upstream: https://data.esrg.stanford.edu/study/toxicity-perspectives. Licence: on request from the authors, for the file
with a hash per worker; the public file lacks it and does not tell people apart. A raw row (made up), a line of JSON
with more answers and more about each rater than is shown:

    {"comment_id": "c1", "comment": "Your bread is stale.", "ratings": [{"toxic_score": 1, "is_profane": false,
     "worker_hash": "w1", "gender": "Female", "age_range": "25 - 34"}]}

The whole file: 107,620 comments with five ratings each. Some workers answered the questions on themselves in several
ways, and a person may rate a comment again: the first rating stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.seeding import stable_sample

_PATH = "classified_data_final_w_worker_hash.json"

HATESPEECH_KUMAR = Source(
    name="hatespeech_kumar",
    title="Designing toxic content classification for a diversity of perspectives",
    homepage="https://data.esrg.stanford.edu/study/toxicity-perspectives",
    license="restricted, on request from the authors",
    redistributable="no",
    citation="arXiv 2106.04511",
    folder="hatespeech",
    files=(SourceFile(_PATH),),
)

SCORES = {score: str(score) for score in range(5)}
_MAX_RATERS = 1000
_ANSWERS = {
    "toxic_score",
    "is_profane",
    "is_threat",
    "is_identity_attack",
    "is_insult",
    "is_sexual_harassment",
    "fine_to_see_online",
    "remove_from_online",
}
_DESCRIPTIONS = (
    "One person rates how toxic comments from social media are: 0 is not toxic at all, 1 slightly, 2 moderately, 3 "
    "very and 4 extremely toxic.",
    "The toxicity of online comments in the eyes of a single rater, from 0 (not at all toxic) to 4 (extremely toxic).",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per rater, in the order of their first ratings; the draws in the order of comments."""
    path = raw_files[_PATH]
    raters: dict[str, dict[str, Draw]] = defaultdict(dict)
    for row, item in raw.read_json_lines(path, {"comment_id": str | int, "comment": str, "ratings": list}):
        with raw.at_row(path, row):
            ratings = [(rater_id(rating), _draw(item["comment"], rating)) for rating in item["ratings"]]
        for rater, draw in ratings:
            if isinstance(draw, Dropped):
                yield draw
            elif item["comment_id"] in raters[rater]:
                yield Dropped("second rating of a comment by the same person")
            else:
                raters[rater][item["comment_id"]] = draw
    chosen = stable_sample(raters, _MAX_RATERS, HATESPEECH_KUMAR.name)
    for rater, draws in raters.items():
        if rater in chosen:
            yield Example(rater, _DESCRIPTIONS, tuple(draws.values()))
        else:
            yield Dropped(f"rating by a person beyond the {_MAX_RATERS}", len(draws))


def rater_id(rating: dict[str, Any]) -> str:
    """A hash of all that is said of the rater: some workers answered the questions on themselves in several ways."""
    if not isinstance(rating, dict):
        raise TypeError(f"a rating is not a JSON object but {rating!r}")
    if not (record := {name: value for name, value in rating.items() if name not in _ANSWERS}):
        raise ValueError("a rating says nothing of its rater")
    return fingerprint(record)


def _draw(comment: str, rating: dict[str, Any]) -> Draw | Dropped:
    score = rating["toxic_score"]
    if not (text := comment.strip()):
        return Dropped("comment without text")
    if score is None:
        return Dropped("rating without a toxicity score")
    if isinstance(score, bool) or score not in SCORES:
        raise ValueError(f"the toxicity score {score!r} is not one of {list(SCORES)}")
    return Draw(text, SCORES[score])


_RATERS = TaskSpec(
    name="hatespeech_individual",
    kind="icl",
    split="train",
    source=HATESPEECH_KUMAR,
    group="human_variation",
    summary="How toxic one rater finds comments from social media.",
    process="one rater",
    inputs=("comment",),
    outputs=("toxic_score",),
    sequences=Sequences("one", Mix(128)),
    options=tuple(SCORES.values()),
    read=read,
    version="1.1.0",
    domain="Conversation",
    quirks="Raters are told apart by a hash that is the same everywhere; the release's changes from run to run.",
)

TASKS = [
    _RATERS,
    gathered(
        _RATERS,
        "hatespeech",
        "How toxic different raters find a comment.",
        "Different people rate how toxic comments from the internet are. Each output is the rating of another person.",
    ),
]
