"""Which generated texts are valid in a coverage task, and when two valid texts are the same item.

>>> validate("prime_below_100", "97"), validate("prime_below_100", "097")
(True, False)
>>> canonical("us_state_any", "NY"), n_valid("us_state_any")
('New York', 50)
>>> validate("one_of", "teal", ["Teal", "Mauve"])
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.evaluation.coverage import valid_answers


@dataclass(frozen=True)
class Rule:
    """By which rule a text is valid.

    Attributes:
        item: (text, valid items) -> the form under which two texts are the same item, None if it is not valid.
        count: Valid items -> how many different ones there are; None if there are infinitely many.
        needs_items: Whether the row lists the valid items.
    """

    item: Callable[[str, tuple[str, ...]], str | None]
    count: Callable[[tuple[str, ...]], int | None]
    needs_items: bool = False


def _listed(key: Callable[[str], str]) -> Rule:
    """The key of the text is that of an item of the row."""

    def item(text: str, items: tuple[str, ...]) -> str | None:
        return name if (name := key(text)) in valid_answers.keys(key, items) else None

    return Rule(item, lambda items: len(valid_answers.keys(key, items)), needs_items=True)


def _known(forms: Mapping[str, str]) -> Rule:
    """The text is one of the forms exactly; forms of one thing are the same item."""
    return Rule(lambda text, _: forms.get(text), lambda _: len(set(forms.values())))


def _numbers(last: int) -> Rule:
    """A whole number from 1 to the last one, in its one decimal form."""
    return _known({str(number): str(number) for number in range(1, last + 1)})


def _grammar(item: Callable[[str], str | None], count: int | None = None) -> Rule:
    return Rule(lambda text, _: item(text), lambda _: count)


VALIDATORS: Mapping[str, Rule] = {
    "one_of": _listed(valid_answers.loose_key),
    "one_of_exact": _listed(str),
    "element_name": _listed(valid_answers.element_key),
    "contains_make_and_model": Rule(valid_answers.make_and_model, valid_answers.n_cars, needs_items=True),
    "email": _grammar(valid_answers.email),
    "professional_email": _grammar(valid_answers.professional_email),
    "us_phone_number": _grammar(valid_answers.us_phone_number),
    "international_phone_number": _grammar(valid_answers.international_phone_number),
    "prime": _grammar(valid_answers.prime),
    "prime_below_100": _grammar(valid_answers.prime_below_100, valid_answers.N_PRIMES_BELOW_100),
    "seed": _grammar(valid_answers.seed, valid_answers.N_SEEDS),
    "number_1_to_10": _numbers(10),
    "number_1_to_100": _numbers(100),
    "us_state_name": _known(valid_answers.STATE_NAMES),
    "us_state_code": _known(valid_answers.STATE_CODES),
    "us_state_any": _known(valid_answers.STATES_EITHER_WAY),
    "weekday_name": _known(valid_answers.WEEKDAYS),
    "weekday_abbreviation": _known(valid_answers.SHORT_WEEKDAYS),
    "weekday_any": _known(valid_answers.WEEKDAYS_EITHER_WAY),
}
"""Name, as in the ``validator`` column of a coverage task -> rule."""


def validate(name: str, text: str, valid_items: Sequence[str] = ()) -> bool:
    """Whether a generated text is valid.

    Args:
        name: The rule, from the row's ``validator``.
        text: The generated text, as it is: most rules refuse white space around an answer.
        valid_items: The row's ``valid_items``.

    Raises:
        UserError: There is no rule of that name, or it needs valid items and there are none.
    """
    return _rule(name, valid_items).item(text, tuple(valid_items)) is not None


def canonical(name: str, text: str, valid_items: Sequence[str] = ()) -> str:
    """The form under which two valid texts are the same item; arguments and errors as in :func:`validate`.

    Raises:
        ValueError: The text is not valid.
    """
    item = _rule(name, valid_items).item(text, tuple(valid_items))
    if item is None:
        raise ValueError(f"{text!r} is not valid by rule {name!r}: ask 'validate' first")
    return item


def n_valid(name: str, valid_items: Sequence[str] = ()) -> int | None:
    """How many different valid items there are, None if there are infinitely many; errors as in :func:`validate`."""
    return _rule(name, valid_items).count(tuple(valid_items))


def _rule(name: str, valid_items: Sequence[str]) -> Rule:
    if name not in VALIDATORS:
        raise UserError(
            f"validator {name!r} not found{did_you_mean(name, VALIDATORS)}: there are {', '.join(sorted(VALIDATORS))}"
        )
    rule = VALIDATORS[name]
    if rule.needs_items and not valid_items:
        raise UserError(f"validator {name!r} needs the valid items of the row: give its column 'valid_items'")
    return rule
