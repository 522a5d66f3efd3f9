"""Which of its options a whole answer is: a strict rule, since a guess at what was meant would be a number of our own.

An answer is an option if the two are the same text, tried in this order; the first that fits exactly one option counts:

    1. as they are, white space around them removed
    2. plain: without what stands around a text (quotes, brackets, markdown's stars, underscores, backticks, number
       signs and arrows, a bullet) and without the ``.``, ``,``, ``;``, ``:`` or ``!`` at its end; white space is one
       space, and letters are composed (NFKC)
    3. plain, and whatever the case
    4. by label, where the prompt lists its options one a line ("A. red", "2) likely"): the label alone or with its
       text ("A", "(A)", "Option A", "A. red"), or the text where the labels are the options

Before the last two, one of the words answer, output, choice or option with a colon ("Answer: red") is left out. An
answer that holds an option and says anything else too ("red, I think"), or two options, is none of them: it lowers the
coverage and is counted under its reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.lm.answers import Answer, DrawnOptions
from spectrum_suite.lm.listed_options import labelled_options

REFUSED, CUT, EMPTY, SEVERAL, OTHER = "refused", "cut off", "empty", "several options", "something else"
"""Why an answer is not an option."""

_AROUND = "\"'“”„‚‘’«»‹›「」『』()[]{}<>*_`#~|"
BULLETS = ("-", "•")
_LAST = ".,;:!。，；：！"
_REFUSAL = re.compile(
    r"(i['’]?m (very )?sorry|sorry|i apologi[sz]e|as an ai\b|as a (large )?language model"
    r"|i (can ?not|can['’]?t|won['’]?t)\b"
    r"|i('m| am) (not able|unable|not comfortable)|i do(n['’]?t| not) have (personal|opinions|preferences|feelings))",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?:the )?(?:final )?(?:answer|output|choice|option)\s*:\s*(?=\S)", re.IGNORECASE)
_OPTION = re.compile(r"(?:option|choice|answer)\s+(?=\S)", re.IGNORECASE)


def match_answers(answers: Sequence[Answer], options: Sequence[str], prompt: Sequence[Message]) -> DrawnOptions:
    """The option of each answer to a prompt.

    Args:
        answers: As they were drawn.
        options: The options of the prompt.
        prompt: Its messages, where labels are looked for.

    Raises:
        UserError: Two options are the same text.
    """
    match = matcher(options, prompt)
    choices: list[int | None] = []
    others: Counter[str] = Counter()
    for answer in answers:
        found = _without_option(answer) or match(answer.text)
        choices.append(None if isinstance(found, str) else found)
        if isinstance(found, str):
            others[found] += 1
    return DrawnOptions(tuple(choices), dict(others), sum(answer.reasoning for answer in answers))


def matcher(options: Sequence[str], prompt: Sequence[Message] = ()) -> Callable[[str], int | str]:
    """A function from a text to the place of its option, or why it is none: ``SEVERAL``, ``REFUSED`` or ``OTHER``.

    Raises:
        UserError: Two options are the same text.
    """
    stripped = [option.strip() for option in options]
    if len(set(stripped)) < len(stripped):
        raise UserError("two options of an item are the same text: list each answer once and add up its shares")
    labels = labelled_options(prompt, options)
    rules: tuple[tuple[Callable[[str], str], list[tuple[str, int]]], ...] = (
        (str.strip, [(option, place) for place, option in enumerate(stripped)]),
        (plain, [(plain(option), place) for place, option in enumerate(stripped)]),
        (_unnamed, [(folded(option), place) for place, option in enumerate(stripped)]),
        (_unlabelled, [(folded(text), place) for text, place in labels]),
    )

    def match(text: str) -> int | str:
        for write, named in rules:
            places = {place for name, place in named if name and name == write(text)}
            if places:
                return places.pop() if len(places) == 1 else SEVERAL
        return REFUSED if _REFUSAL.match(plain(text)) else OTHER

    return match


def plain(text: str) -> str:
    """A text without what stands around it, its white space single; what would be empty stays as it is."""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    while True:
        inner = text.removeprefix("- ").removeprefix("• ").strip(_AROUND).rstrip(_LAST).strip()
        if inner in ("", text):
            return text
        text = inner


def folded(text: str) -> str:
    """The same, whatever the case."""
    return plain(text).casefold()


def bare(text: str) -> str:
    """The beginning of a text without what stands around it; nothing where there is nothing else."""
    text = unicodedata.normalize("NFKC", text).strip()
    for bullet in BULLETS:
        text = text.removeprefix(f"{bullet} ")
    return text.lstrip(_AROUND).lstrip()


def _unnamed(text: str) -> str:
    return folded(_NAMED.sub("", plain(text), count=1) if _NAMED.match(plain(text)) else text)


def _unlabelled(text: str) -> str:
    found = _unnamed(text)
    return folded(found[match.end() :]) if (match := _OPTION.match(found)) else found


def _without_option(answer: Answer) -> str | None:
    """Why an answer is not an option whatever it says."""
    if answer.refused:
        return REFUSED
    if not answer.ended:
        return CUT
    return None if answer.text.strip() else EMPTY
