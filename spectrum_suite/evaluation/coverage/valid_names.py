"""Valid answers that form a list: of the row, or of the U.S. states and the days of the week."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_STATES = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,FL Florida,"
    "GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,KY Kentucky,LA Louisiana,ME Maine,"
    "MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,MO Missouri,MT Montana,NE Nebraska,NV Nevada,"
    "NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,"
    "OR Oregon,PA Pennsylvania,RI Rhode Island,SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,"
    "VT Vermont,VA Virginia,WA Washington,WV West Virginia,WI Wisconsin,WY Wyoming"
)
_DAYS = {
    "Monday": "M", "Tuesday": "T", "Wednesday": "W", "Thursday": "Th", "Friday": "F", "Saturday": "Sa", "Sunday": "Su"
}  # fmt: skip
_SPELLINGS = {"aluminium": "aluminum", "caesium": "cesium", "sulphur": "sulfur"}

STATE_CODES = dict(state.split(" ", 1) for state in _STATES.split(","))
"""Code -> name, of the 50 states."""
STATE_NAMES = {name: name for name in STATE_CODES.values()}
STATES_EITHER_WAY = STATE_CODES | STATE_NAMES
WEEKDAYS = {form: day for day in _DAYS for form in (day, day.upper(), day.lower())}
"""Each of the 21 ways to write a day in full -> the day."""
SHORT_WEEKDAYS = {form: day for day in _DAYS for form in (day[:3], f"{day[:3]}.", day[:3].upper())}
"""Each of the 21 abbreviations -> the day."""
WEEKDAYS_EITHER_WAY = WEEKDAYS | SHORT_WEEKDAYS | {letters: day for day, letters in _DAYS.items()}


def loose_key(text: str) -> str:
    r"""The text without white space around it, in one case and with straight apostrophes, composed as in NFC.

    >>> loose_key(" Martian\u2019s Moon ")
    "martian's moon"
    """
    return _fold(text.strip())


def element_key(text: str) -> str:
    """An element's name in lower case and American spelling.

    >>> element_key("Caesium")
    'cesium'
    """
    name = _fold(text)
    return _SPELLINGS.get(name, name)


@lru_cache(maxsize=16)
def keys(key: Callable[[str], str], items: tuple[str, ...]) -> frozenset[str]:
    """The keys of all items: two items with the same key are one."""
    return frozenset(map(key, items))


def make_and_model(text: str, items: tuple[str, ...]) -> str | None:
    r"""The car that a text names: the longest model whose make is named too, or None.

    Case is ignored. A name counts where it stands as a whole, not inside a longer word or a hyphenated one: "Fit" is
    not in "outfit", "CX-5" not in "CX-50" and "M" not in "M-Sport". A model that starts with its make names both.

    >>> cars = ("Audi\tA4", "Audi\tA4 allroad", "MAZDA\tMAZDA3")
    >>> make_and_model("The Audi A4 Allroad of 2017", cars), make_and_model("Mazda3", cars)
    ('audi a4 allroad', 'mazda mazda3')
    >>> make_and_model("Audi RA4", cars)
    """
    words = " ".join(_fold(text).split())
    named = [
        (make, model)
        for make, model in _cars(items)
        if _names(words, model) and (model.startswith(make) or _names(words, make))
    ]
    return " ".join(max(named, key=lambda car: len(car[1]))) if named else None


def n_cars(items: tuple[str, ...]) -> int:
    """How many cars there are among items of make, tab, model."""
    return len(_cars(items))


@lru_cache(maxsize=16)
def _cars(items: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(make, model) in lower case, each once."""
    pairs = (tuple(map(_fold, item.split("\t"))) for item in items)
    return tuple(dict.fromkeys((make, model) for make, model in pairs))


def _names(words: str, name: str) -> bool:
    return name in words and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words) is not None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold()).replace("\u2019", "'")
