"""Valid answers: those that follow a grammar (addresses, phone numbers, whole numbers), and those that form a list.

Each function of a grammar gives the form under which two texts are the same item, or None for a text that is not valid.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,252}\.[A-Za-z]{2,}")
_PROFESSIONAL = (".com", ".org", ".edu", ".gov")
_US_PHONE = re.compile(r"[0-9]{3}-[0-9]{3}-[0-9]{4}|\([0-9]{3}\) [0-9]{3}-[0-9]{4}|[0-9]{3} [0-9]{3} [0-9]{4}")
_PHONE = re.compile(r"\+[0-9]+(?:[ -][0-9]+){0,6}")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,299}")  # longer ones are refused unchecked
_SEED = re.compile(r"[+-]?0*([0-9]{1,10})")

N_SEEDS = 2**32
_PRIMES = (
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97
)  # fmt: skip
N_PRIMES_BELOW_100 = len(_PRIMES)
_EXACT_BASES, _EXACT_BELOW = _PRIMES[:13], 3_317_044_064_679_887_385_961_981

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


def email(text: str) -> str | None:
    """An e-mail address, without white space around it and in lower case.

    The form is the suite's: letters, digits and ``._%+-`` before the @, a domain that ends in at least two letters.
    Whether such an address can exist (lengths, dots, hyphens, domains that no mail goes to such as ``.invalid``) is
    email-validator's decision; domains for examples and tests are fine, and no name server is asked.
    """
    address = text.strip()
    if not _EMAIL.fullmatch(address):
        return None
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return address.lower()


def professional_email(text: str) -> str | None:
    """An :func:`email` address in a domain under .com, .org, .edu or .gov."""
    address = email(text)
    return address if address and address.endswith(_PROFESSIONAL) else None


def us_phone_number(text: str) -> str | None:
    """The E.164 form of a number like 212-555-0100, (212) 555-0100 or 212 555 0100, white space around it apart.

    The form is the suite's; phonenumbers decides whether it can be a U.S. number: (011) 432-1234, say, dials Austria.
    Whether the number is assigned does not count, since the numbers that people give as examples mostly are not.
    """
    number = text.strip()
    dialled = _dialled(number, "US") if _US_PHONE.fullmatch(number) else None
    return dialled if dialled == "+1" + "".join(filter(str.isdigit, number)) else None


def international_phone_number(text: str) -> str | None:
    """The E.164 form of a number written with plus sign and country code, white space around it apart.

    The form is the suite's: 7 to 15 digits, parted by at most 6 single spaces or hyphens; phonenumbers decides whether
    the country code exists and has numbers of that length.
    """
    number = text.strip()
    if _PHONE.fullmatch(number) and _FEWEST_DIGITS <= sum(map(str.isdigit, number)) <= _MOST_DIGITS:
        return _dialled(number, None)
    return None


def prime(text: str) -> str | None:
    """A prime number in its one decimal form."""
    return text if _WHOLE_NUMBER.fullmatch(text) and is_prime(int(text)) else None


def prime_below_100(text: str) -> str | None:
    """A :func:`prime` of at most two digits."""
    return prime(text) if len(text) <= len("97") else None


def seed(text: str) -> str | None:
    """The decimal form of an integer from 0 to 2^32 - 1; a sign, leading zeros and white space around it may be.

    >>> seed(" 007 ")
    '7'
    """
    match = _SEED.fullmatch(text.strip())
    if not match or int(match[1]) >= N_SEEDS or (text.strip().startswith("-") and int(match[1])):
        return None
    return str(int(match[1]))


def is_prime(number: int) -> bool:
    """Whether a number is prime, by the Miller-Rabin test.

    The first 13 primes as bases decide every number below 3.3e24 (Sorenson and Webster, arXiv 1509.00864). Above, all
    25 primes below 100 are bases: a composite number not built to fool them passes with a probability below 4^-25.
    """
    if number < 2 or any(number % p == 0 for p in _PRIMES):  # noqa: PLR2004
        return number in _PRIMES
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    bases = _EXACT_BASES if number < _EXACT_BELOW else _PRIMES
    return not any(_shows_composite(base, odd, twos, number) for base in bases)


def _shows_composite(base: int, odd: int, twos: int, number: int) -> bool:
    """Whether a base is a witness that number = odd * 2^twos + 1 is composite."""
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return False
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return False
    return True


def _dialled(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


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
