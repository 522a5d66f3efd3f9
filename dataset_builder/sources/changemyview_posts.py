"""ChangeMyView: posts and titles as collections, and one part of a post given another.

Upstream: https://zenodo.org/records/3778298 (Webis-CMV-20). Licence: CC BY 4.0, not verified. A raw row: see
``changemyview.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dataset_builder.sources.changemyview import CHANGEMYVIEW, Thread, read_threads
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

_WHERE = "the forum ChangeMyView, where people post a view on which they might change their mind"
_TEXTS = {
    "posts": (
        f"Posts (title and body) from {_WHERE}.",
        "Each output is the title and text of a post by someone who holds a view and is open to change their mind.",
    ),
    "titles": (
        f"Titles of posts from {_WHERE}.",
        "Each output states a view in one line, the title of a post by someone who is open to change their mind.",
    ),
}
_PARTS = {
    "selftext_from_title": (
        f"The input is the title of a post from {_WHERE}. The output is the text of the post.",
        "Given the title of a ChangeMyView post, write the post.",
    ),
    "title_from_selftext": (
        f"The input is the text of a post from {_WHERE}. The output is its title.",
        "Given the text of a ChangeMyView post, write its title.",
    ),
    "score_from_title_selftext": (
        f"The input is a post from {_WHERE}. The output is its score: upvotes minus downvotes.",
        "How a ChangeMyView post, given by title and text, is scored: the number of upvotes less that of downvotes.",
    ),
}
_MAX_DRAWS = 7500  # of a variant: hardly ever more than 500 sequences of mean length 16


def read_texts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Two processes: whole posts and titles, each text once."""
    texts: dict[str, dict[str, None]] = {name: {} for name in _TEXTS}
    for thread in read_threads(raw_files):
        if isinstance(thread, Dropped):
            yield thread
        else:
            texts["posts"][f"{thread.title}\n\n{thread.selftext}"] = None
            texts["titles"][thread.title] = None
    for name, distinct in texts.items():
        if distinct:
            yield Example(name, _TEXTS[name], tuple(Draw(None, text) for text in distinct))


def read_parts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Three processes: the body for a title, the title for a body, and the score of both."""
    threads = []
    for thread in read_threads(raw_files):
        if isinstance(thread, Dropped):
            yield thread
        else:
            threads.append(thread)
    for variant, descriptions in _PARTS.items():
        chosen = stable_sample((str(thread.line) for thread in threads), _MAX_DRAWS, variant)
        if len(threads) > len(chosen):
            yield Dropped(f"post beyond the {_MAX_DRAWS} of the variant {variant}", len(threads) - len(chosen))
        if draws := tuple(_draw(variant, thread) for thread in threads if str(thread.line) in chosen):
            yield Example(variant, descriptions, draws)


def _draw(variant: str, thread: Thread) -> Draw:
    if variant == "selftext_from_title":
        return Draw(thread.title, thread.selftext)
    if variant == "title_from_selftext":
        return Draw(thread.selftext, thread.title)
    post = {"title": thread.title, "selftext": thread.selftext}
    return Draw(json.dumps(post, ensure_ascii=False), str(thread.score))


_QUIRKS = "Names of users in the texts are replaced by 'another user'. "

TASKS = [
    TaskSpec(
        name="changemyview_categories",
        kind="icl",
        split="train",
        source=CHANGEMYVIEW,
        group="text_collections",
        summary="Posts, or titles, of people who hold a view and might change their mind.",
        process="one list: whole posts or titles",
        outputs=("text",),
        sequences=Sequences("partition", Mix(16)),
        read=read_texts,
        domain="Conversation",
        quirks=_QUIRKS.strip(),
        version="1.1.0",
    ),
    TaskSpec(
        name="changemyview_posts",
        kind="icl",
        split="train",
        source=CHANGEMYVIEW,
        group="text_collections",
        summary="The body, the title or the score of a post, given the rest.",
        process="what is given and what is wanted",
        inputs=("title", "selftext"),
        outputs=("selftext", "title", "score"),
        sequences=Sequences("partition", Mix(16)),
        read=read_parts,
        domain="Conversation",
        quirks=_QUIRKS + f"A variant has at most {_MAX_DRAWS} posts, about 470 sequences.",
        version="1.1.0",
    ),
]
