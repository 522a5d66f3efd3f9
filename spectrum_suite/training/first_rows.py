"""The first rows of a run as an HTML page on which a person sees what is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader
from transformers import PreTrainedTokenizerBase

from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.shown_tokens import NEWLINE, shown_tokens

FIRST_ROWS = "first_rows.html"


def first_rows_page(
    rows: Iterable[dict[str, Any]], collator: SpectrumCollator, tokenizer: PreTrainedTokenizerBase, format_name: str
) -> str:
    """Rows as the collator makes them in its epoch, as one page of HTML.

    Args:
        rows: Tokenized rows.
        collator: Makes the sequences. Branches are laid one after another, as plain sequences are.
        tokenizer: Turns tokens into text.
        format_name: Said above the rows.
    """
    environment = Environment(loader=PackageLoader("spectrum_suite.training", "."), autoescape=True)
    page = environment.get_template(f"{FIRST_ROWS}.jinja")
    return page.render(format=format_name, rows=[_shown(row, collator, tokenizer) for row in rows])


def _shown(row: dict[str, Any], collator: SpectrumCollator, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    sequence = collator.sequence(row)
    trained = [label != IGNORED for label in sequence.labels]
    tokens = [
        {"text": token.text.replace("\n", NEWLINE), "trained": token.trained}
        for token in shown_tokens(tokenizer, sequence.ids, trained)
    ]
    return {"id": row["id"], "length": len(sequence.ids), "trained": sum(trained), "tokens": tokens}
