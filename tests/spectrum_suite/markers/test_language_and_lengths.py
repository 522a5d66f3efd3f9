from pathlib import Path

import pytest

from spectrum_suite.markers.language import detect_language
from spectrum_suite.markers.lengths import count_paragraphs, count_sentences, length_bucket
from spectrum_suite.markers.taxonomy import LANGUAGES

TEXTS = {
    part.splitlines()[0]: part.splitlines()[1:]
    for part in (Path(__file__).parent / "languages.txt").read_text(encoding="utf-8").removeprefix("# ").split("\n# ")
}


def test_there_are_300_texts_in_23_languages():
    assert set(TEXTS) == set(LANGUAGES)
    assert sum(map(len, TEXTS.values())) == 300


def test_98_of_100_texts_are_in_the_right_language():
    wrong = [(lang, text) for lang, texts in TEXTS.items() for text in texts if detect_language(text) != lang]
    assert len(wrong) <= 0.02 * 300, wrong


def test_code_and_addresses_are_no_prose():
    assert detect_language("```python\nprint('hello world')\n```") is None
    assert detect_language("42 + 17 = 59") is None
    assert detect_language("https://example.org/the/english/words") is None
    assert detect_language("Voici la réponse :\n```python\nfor word in the_list: print(word)\n```") == "French"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_sentences_are_as_many_as_were_put_together(lang):
    space = "" if lang in ("Japanese", "Chinese") else " "
    assert count_sentences(space.join(TEXTS[lang]), lang) == len(TEXTS[lang])
    assert count_sentences("\n\n".join(TEXTS[lang]), lang) == len(TEXTS[lang])


@pytest.mark.parametrize(
    ("text", "sentences", "paragraphs"),
    [
        ("", 0, 0),
        (" \n\n ", 0, 0),
        ("Paris", 1, 1),
        ("Dr. Wu paid $3.50 on Jan. 5. Did he? Yes!", 3, 1),
        ("One.\nStill the first.\n\nTwo.", 3, 2),
        ("One.\n \t\n\n\nTwo.\n", 2, 2),
        ("***", 0, 1),
    ],
)
def test_lengths_counted_by_hand(text, sentences, paragraphs):
    assert (count_sentences(text), count_paragraphs(text)) == (sentences, paragraphs)


def test_the_buckets_begin_where_the_paper_says():
    assert [length_bucket(n) for n in (0, 299, 300, 1000, 1001)] == ["concise", "concise", "medium", "medium", "long"]
