from dataset_builder.sources.shared.people import choose, known, with_and_without
from dataset_builder.task_spec import Dropped


def test_only_what_a_person_told_is_known():
    facts = {"age": " 30 ", "race": "Prefer not to disclose", "gender": "", "job": None, "country": "prefer Not to say"}
    assert known(facts) == {"age": "30"}


def test_each_text_comes_without_and_with_the_person():
    assert with_and_without(("One.", "Two."), {"age": "30", "gender": None, "job": "Cook"}) == (
        "One.",
        "Two.",
        "One. About this person: age: 30; job: Cook.",
        "Two. About this person: age: 30; job: Cook.",
    )
    assert with_and_without(("One.", "Two."), {"age": "", "job": "Prefer not to say"}) == ("One.", "Two.")


def test_people_with_few_rows_go_first_then_the_choice_is_made():
    rows = {f"p{n}": [None] * (1 + n % 3) for n in range(30)}
    everybody, dropped = choose(rows, "key", at_least=2)
    assert everybody == [f"p{n}" for n in range(30) if n % 3]
    assert dropped == [Dropped("row of a person with fewer than 2", 10)]
    kept, dropped = choose(rows, "key", at_least=2, at_most=5)
    assert len(kept) == 5
    assert kept == [name for name in everybody if name in kept]
    assert kept != everybody[:5]  # a sample, not the first ones
    assert kept != choose(rows, "another", at_least=2, at_most=5)[0]
    assert choose(dict(reversed(rows.items())), "key", at_least=2, at_most=5)[0] == kept[::-1]
    assert dropped[1] == Dropped("row of a person beyond the 5 kept", 50 - sum(len(rows[name]) for name in kept))
