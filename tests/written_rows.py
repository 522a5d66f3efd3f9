"""A row written out as one text, piece by piece, for tests that compare it with a template or with token ids."""

from spectrum_suite.formats.control_tokens import unmarked
from spectrum_suite.formats.render import split_messages, written_draws


def pieces(text_format, messages):
    """[(text, whether it is trained)] of all that is tokenized by itself, in order: together the whole text."""
    description, draws = written_draws(messages, text_format)
    found = [(text_format.bos, False), (description, False)]
    for draw in draws:
        found += [(draw.context, False), (draw.output, draw.trained), (text_format.separator, False)]
    *_, given = split_messages(messages)
    if given is not None:
        found.append((text_format._turn("input", text_format.marked(given)), False))
    return [(unmarked(text), trained) for text, trained in found if text]


def whole_text(text_format, messages):
    return "".join(text for text, _ in pieces(text_format, messages))
