"""Repairs the texts of examples on their way from a reader to the rows, whatever their source.

How a text is repaired is described in :mod:`dataset_builder.text_repairs`. A task whose raw texts are not prose
declares `verbatim` with the reason and is left unchanged, as are the texts that the builder writes itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dataset_builder.raw import GUARD, GUARDED
from dataset_builder.task_spec import Draw, Dropped, Example, Target
from dataset_builder.text_repairs import SameOnceCleanedError, clean_suspect, is_suspect

EMPTY = "text of which cleaning leaves nothing"
SAME = "different answers that are the same text once cleaned"
_REMEMBERED = 50_000  # texts already checked


@dataclass
class Hygiene:
    """Cleans the examples of a task.

    Attributes:
        counts: What was repaired -> how many texts; a text counts once for each process that has it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)
    _changed: dict[str, tuple[str | None, tuple[str, ...]]] = field(default_factory=dict)

    def examples(self, items: Iterable[Example | Dropped]) -> Iterator[Example | Dropped]:
        """The items in order, the texts of the examples clean; what cannot be kept is dropped and counted."""
        for item in items:
            if isinstance(item, Example) and (changed := self._changed_texts(set(_texts(item)))):
                yield from _with_texts(item, changed)
            else:
                yield item

    def _changed_texts(self, texts: set[str]) -> dict[str, str | None]:
        """What the texts that change are once clean; None where answers would become the same."""
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
            self._changed.clear()
        self._look_at(texts - self._seen)
        changed = texts & self._changed.keys()
        for text in changed:
            self.counts.update(self._changed[text][1])
        return {text: self._changed[text][0] for text in changed}

    def _look_at(self, texts: set[str]) -> None:
        """Find out which texts change; many processes have the same ones."""
        for text in filter(is_suspect, texts) if is_suspect("\n".join(texts)) else ():
            try:
                new, repairs = clean_suspect(text)
            except SameOnceCleanedError:
                self._changed[text] = None, ()
            else:
                if new != text:
                    self._changed[text] = new, repairs
        self._seen |= texts


def left_as_they_are(items: Iterable[Example | Dropped]) -> Iterator[Example | Dropped]:
    """The items of a task whose texts are not repaired."""
    for item in items:
        texts = _texts(item) if isinstance(item, Example) else []
        if any(GUARD in text for text in texts):
            yield from _with_texts(item, {text: text.replace(GUARD, GUARDED).strip() for text in texts})
        else:
            yield item


def _with_texts(example: Example, changed: Mapping[str, str | None]) -> Iterator[Example | Dropped]:
    """The example with the changed texts replaced by the new ones, after what cannot be kept of it."""
    kept: list[Draw] = []
    options: list[tuple[str, ...]] = []
    one_for_all = len(example.options) == 1
    for index, draw in enumerate(example.draws):
        choices = example.options[0 if one_for_all else index] if example.options else ()
        if changed.keys().isdisjoint((*draw, *choices)):
            kept.append(draw)
            options.append(choices)
        elif why := _why_not(_draw_texts(draw), changed) or _why_not_options(choices, changed):
            yield Dropped(why)
        else:
            kept.append(Draw(changed.get(draw.input, draw.input), changed.get(draw.output, draw.output)))
            options.append(_new(choices, changed))
    target = example.target
    if target is not None:
        if why := _why_not(_target_texts(target), changed) or _why_not_options(target.options, changed):
            yield Dropped(why)
            return
        given = changed.get(target.input, target.input)
        target = replace(target, input=given, options=_new(target.options, changed))
    valid = tuple(dict.fromkeys(filter(None, _new(example.valid, changed))))
    if lost := len(example.valid) - len(valid):
        yield Dropped(SAME, lost)
    if kept or target is not None:
        yield replace(
            example,
            descriptions=tuple(dict.fromkeys(filter(None, _new(example.descriptions, changed)))),
            draws=tuple(kept),
            target=target,
            valid=valid,
            options=tuple(options[:1] if one_for_all else options if example.options else ()),
        )


def _new(texts: Iterable[str], changed: Mapping[str, str | None]) -> tuple[str | None, ...]:
    return tuple(changed.get(text, text) for text in texts)


def _why_not_options(options: tuple[str, ...], changed: Mapping[str, str | None]) -> str | None:
    """Why what has these answers to choose from cannot be kept."""
    if why := _why_not(options, changed):
        return why
    return SAME if len(set(_new(options, changed))) < len(options) else None


def _why_not(texts: Iterable[str], changed: Mapping[str, str | None]) -> str | None:
    """Why what has these texts cannot be kept."""
    cleaned = _new(texts, changed)
    if None in cleaned:
        return SAME
    return None if all(cleaned) else EMPTY


def _texts(example: Example) -> list[str]:
    texts = [text for draw in example.draws for text in draw if text is not None]
    texts += example.descriptions + example.valid
    texts += (text for options in set(example.options) for text in options)
    return texts + (_target_texts(example.target) if example.target else [])


def _draw_texts(draw: Draw) -> list[str]:
    return [draw.output] if draw.input is None else [draw.input, draw.output]


def _target_texts(target: Target) -> list[str]:
    return [*target.options, *([] if target.input is None else [target.input])]
