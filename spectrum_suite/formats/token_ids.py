"""From segments of text to token ids, with the boundaries that training and inference share.

A segment has the tokens that it has inside the whole text, where its borders are token borders. Most tokenizers give a
text the same tokens wherever it stands. Others, those of SentencePiece above all, put a space in front of every text or
after every special token, or drop the space after one; there a segment is tokenized after what comes before it, and
that is cut off again:

    "Output:" + " Heads"      alone   ▁Output:  ▁▁Heads        in the text   ▁Output:  ▁Heads

Which kind a tokenizer is of is found by comparing both on some short texts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from spectrum_suite.errors import UserError
from spectrum_suite.formats.affixes import added_around
from spectrum_suite.formats.control_tokens import BORDER, START, segments_of, spelled_parts, unmarked
from spectrum_suite.formats.render import Format, control_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_LINE = "\n"
_BEFORE = (_LINE, ".", "1", "a", "\u2603")
"""What a text is tokenized after where the tokens of what really comes before it would join its own."""

_WARNED: WeakSet[PreTrainedTokenizerBase] = WeakSet()


class Kind(NamedTuple):
    """What was found out about a tokenizer with a format.

    Attributes:
        in_context: Whether a segment's tokens depend on what comes before it.
        starts_differ: Whether those of a context that begins a text differ from those of one inside it.
    """

    in_context: bool
    starts_differ: bool


_KINDS: WeakKeyDictionary[PreTrainedTokenizerBase, dict[Format | None, Kind]] = WeakKeyDictionary()


def token_encoder(tokenizer: PreTrainedTokenizerBase, text_format: Format | None) -> TokenEncoder:
    """A function from segments of ``text_format`` to ``{segment: token ids}``.

    Args:
        tokenizer: The tokenizer.
        text_format: How messages are written; None for prompts that are strings, and their options.

    Raises:
        UserError: The tokenizer does not keep the blank lines that end an output.
    """
    written = text_format or Format("colon", None, control=control_of(tokenizer, None))
    kinds = _KINDS.setdefault(tokenizer, {})
    encoder = TokenEncoder(tokenizer, written, kinds.get(text_format))
    if text_format not in kinds:
        if text_format is not None:
            _check_faithful(encoder)
        kinds[text_format] = encoder.kind
    return encoder


class TokenEncoder:
    """Segments of a format -> ``{segment: token ids}``; every distinct one is tokenized once, in one tokenizer call.

    Where the tokens at the end of a turn depend on what follows (the blank line of plain text), the start of the next
    turn is tokenized after it and cut off again, so that the ids are those of the text as a whole.

    Attributes:
        tokenizer: The tokenizer.
        text_format: How messages are written.
        kind: Which kind of tokenizer it is.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text_format: Format, kind: Kind | None = None) -> None:
        """Find out which kind of tokenizer it is, if that is not known."""
        self.tokenizer = tokenizer
        self.text_format = text_format
        self._bases: dict[str, list[int]] = {"": []}
        self._tails: dict[str, list[int]] = {"": []}
        self._spellings: dict[str, list[int]] = {}
        self.kind = kind or self._find_kind()

    @property
    def in_context(self) -> bool:
        """See :class:`Kind`."""
        return self.kind.in_context

    @property
    def starts_differ(self) -> bool:
        """See :class:`Kind`."""
        return self.kind.starts_differ

    def _find_kind(self) -> Kind:
        text_format = self.text_format
        self.kind = Kind(in_context=True, starts_differ=True)
        contexts = [text_format.context(None), text_format.context("red")]
        outputs = [text_format.output("Heads"), text_format.output("7")]
        inside = [text for text in (*contexts, *outputs, text_format.separator) if text]
        begun = [text_format.description("A coin."), *contexts]
        found = [self._after(text, self.text_format.before(text)) for text in inside]
        found_at_start = [self._after(text, text_format.bos) for text in begun]
        starts_differ = found[: len(contexts)] != found_at_start[1:]
        self._tails, self.kind = {"": []}, Kind(in_context=False, starts_differ=starts_differ)
        alone = [self._alone(text) for text in (*inside, *begun)]
        self._tails = {"": []}
        return Kind(alone != [*found, *found_at_start], starts_differ)

    def __call__(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """The token ids of segments inside a text."""
        return self._encode(texts, start=False)

    def at_start(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """The token ids of texts that come first, after BOS: a segment, or several with borders between them."""
        return self._encode(texts, start=True)

    def options(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of outputs without a terminator, in order."""
        header = self.text_format.output_header
        if self.in_context:
            return [self._spelled(text, header) for text in texts]
        found = self.tokenizer(list(texts), add_special_tokens=False).input_ids if texts else []
        return [self._spelled(text, header) if START in text else ids for text, ids in zip(texts, found, strict=True)]

    def _encode(self, texts: Iterable[str], *, start: bool) -> dict[str, list[int]]:
        distinct = sorted({text for text in texts if text})
        cut = {text: segments_of(text) for text in distinct if BORDER in text}
        if not cut:
            return {"": []} | self._encode_segments(distinct, start=start)
        first = {text: cut[text][0] if text in cut else text for text in distinct}
        begun = self._encode_segments(sorted(set(first.values())), start=start)
        later = self._encode_segments(sorted({part for parts in cut.values() for part in parts[1:]}), start=False)
        return {"": []} | {
            text: sum((later[part] for part in cut.get(text, [text])[1:]), begun[first[text]]) for text in distinct
        }

    def _encode_segments(self, distinct: list[str], *, start: bool) -> dict[str, list[int]]:
        marked = [text for text in distinct if START in text]
        plain = [text for text in distinct if START not in text] if marked else distinct
        placed = distinct if self.in_context else marked
        before = {text: self.text_format.bos if start else self.text_format.before(text) for text in placed}
        found = self._all_after(plain, before) if self.in_context else self._all_alone(plain)
        return found | {text: self._spelled(text, before[text]) for text in marked}

    def _all_alone(self, distinct: list[str]) -> dict[str, list[int]]:
        """The ids of segments for a tokenizer to which it is the same where they stand."""
        follower = self.text_format.follower
        tail = len(self._tail(follower)) if follower and distinct else 0
        ends = [self._ends(text) for text in distinct]
        whole = [text + follower * end for text, end in zip(distinct, ends, strict=True)]
        ids = self.tokenizer(whole, add_special_tokens=False).input_ids if whole else []
        cut = (found[: len(found) - tail * end] for found, end in zip(ids, ends, strict=True))
        return dict(zip(distinct, cut, strict=True))

    def _all_after(self, distinct: list[str], before: dict[str, str]) -> dict[str, list[int]]:
        """The ids of segments, each after what comes before it."""
        ends = [self.text_format.follower * self._ends(text) for text in distinct]
        whole = [before[text] + text + end for text, end in zip(distinct, ends, strict=True)]
        ids = self.tokenizer(whole, add_special_tokens=False).input_ids if whole else []
        found = {}
        for text, end, joint in zip(distinct, ends, ids, strict=True):
            kept = self._cut(joint, before[text], end)
            found[text] = self._after(text, before[text]) if kept is None else kept
        return found

    def _after(self, text: str, before: str) -> list[int]:
        """The ids of one text after another, with a border between them."""
        if not text:
            return []
        for end in dict.fromkeys((self.text_format.follower * self._ends(text), "")):
            for prefix in dict.fromkeys((before, *_BEFORE)):
                kept = self._cut(self._ids(prefix + text + end), prefix, end)
                if kept is not None:
                    return kept
        raise UserError(f"this tokenizer joins {text[:60]!r} with whatever comes before it: use another model")

    def _cut(self, joint: list[int], before: str, end: str) -> list[int] | None:
        """The ids between those of ``before`` and of ``end``; None where these are not there."""
        base, tail = self._base(before), self._tail(end)
        stop = len(joint) - len(tail)
        return joint[len(base) : stop] if joint[: len(base)] == base and joint[stop:] == tail else None

    def _alone(self, text: str) -> list[int]:
        """The ids of one segment by itself."""
        tail = self._tail(self.text_format.follower) if self._ends(text) else []
        ids = self._ids(text + self.text_format.follower * self._ends(text))
        return ids[: len(ids) - len(tail)]

    def _spelled(self, text: str, before: str) -> list[int]:
        """The ids of a text with its marked control tokens written letter by letter."""
        ids: list[int] = []
        for place, part in enumerate(spelled_parts(text)):
            if place % 2:
                ids += self._spelling(part)
            elif part and self.in_context:
                ids += self._after(part, _LINE if place else before)
            elif part:
                ids += self._alone(part)
        return ids

    def _spelling(self, token: str) -> list[int]:
        if token not in self._spellings:
            base, ids = self._base(_LINE), self._letters(_LINE + token)
            if ids[: len(base)] != base:
                base, ids = [], self._letters(token)
            own = self.tokenizer.convert_tokens_to_ids(token)
            if own != self.tokenizer.unk_token_id and own in ids:
                raise UserError(f"this tokenizer makes the control token {token} of its letters: leave it out of texts")
            self._spellings[token] = ids[len(base) :]
        return self._spellings[token]

    def _letters(self, text: str) -> list[int]:
        """The ids of a text in which no added token is looked for, special or not."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        words = [text]
        if backend.pre_tokenizer is not None:
            words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        return [token.id for word in words for token in backend.model.tokenize(word)]

    def _ends(self, text: str) -> bool:
        return text.endswith(self.text_format.terminator)

    def _base(self, before: str) -> list[int]:
        if before not in self._bases:
            self._bases[before] = self._ids(before)
        return self._bases[before]

    def _tail(self, end: str) -> list[int]:
        if end not in self._tails:
            self._tails[end] = self._after(end, _LINE) if self.in_context else self._ids(end)
        return self._tails[end]

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)


def string_token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The token ids of a string as it is, with what the tokenizer adds before a text; nothing is added after it."""
    before, _ = added_around(tokenizer)
    if START in text or BORDER in text:
        return before + token_encoder(tokenizer, None).at_start([text])[text]
    return before + tokenizer.encode(text, add_special_tokens=False)


def _check_faithful(encoder: TokenEncoder) -> None:
    """Refuse a tokenizer that loses what ends an output, and say so where it changes texts in other ways."""
    written, tokenizer = encoder.text_format, encoder.tokenizer
    texts = [written.context("Red or  blue?"), written.output("Heads"), written.separator, written.context(None)]
    first = written.description("A coin.")
    found = encoder._after(first, written.bos)
    for text in texts:
        found = found + encoder._after(text, written.before(text))
    text = unmarked("".join([first, *texts]))
    read = tokenizer.decode(found, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if written.turn is None and written.terminator.isspace() and written.terminator not in read:
        raise UserError(
            f"format {written.name!r} ends outputs with a blank line, which this tokenizer does not keep: use --format "
            "tags, or another model"
        )
    spaces = (part.count(" ") for part in (text, read))
    if (read.replace(" ", "") != text.replace(" ", "") or next(spaces) > next(spaces)) and tokenizer not in _WARNED:
        _WARNED.add(tokenizer)
        logger.warning("this tokenizer does not keep texts as they are: it reads %r as %r", text, read)
