"""The page of first rows shows every token, and colours the trained ones."""

import re
from html import unescape

from datasets import Dataset

from spectrum_suite.formats.render import get_format
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.first_rows import first_rows_page
from spectrum_suite.training.tokenize import tokenize_rows


def test_the_page_shows_all_tokens_and_colours_the_trained(chatml):
    text_format = get_format("spectrum", chatml)
    messages = [
        {"role": "description", "content": "<b>A die</b> & more"},
        {"role": "output", "content": "4"},
        {"role": "output", "content": "6"},
    ]
    rows, _ = tokenize_rows(
        Dataset.from_list([{"id": "dice/1", "messages": messages}]), chatml, text_format, max_length=99
    )
    collator = SpectrumCollator.for_format(text_format, chatml, max_length=99, permute=False, description_dropout=0)
    page = first_rows_page(rows, collator, chatml, "spectrum")
    pieces = re.findall(r'<span class="(trained|context)">(.*?)</span>', page.partition("<pre>")[2], flags=re.DOTALL)
    texts = [(kind, unescape(text).replace("\u23ce\n", "\n")) for kind, text in pieces]
    assert "".join(text for _, text in texts) == chatml.decode(collator.sequence(rows[0]).ids)
    assert [text for kind, text in texts if kind == "trained"] == ["4", "<|im_end|>", "6", "<|im_end|>"]
    assert "<b>" not in page
    assert "dice/1" in page
