"""Fingerprints of rows are the same for the same draws in any order, and for nothing else."""

import json

import pytest
from datasets import Dataset

from spectrum_suite.hub.fit_names import fit
from spectrum_suite.hub.secret_scan import found_in
from spectrum_suite.row_fingerprints import DIGITS, ENTRY, packed_by_task, row_fingerprint, trained_fingerprints


def messages(*draws, description="A person."):
    turns = [{"role": "description", "content": description}] if description else []
    for given, output in draws:
        turns += [{"role": "input", "content": given}] if given else []
        turns += [{"role": "output", "content": output}] if output else []
    return {"messages": turns}


ROW = messages(("Tea?", "yes"), ("Milk?", "no"))
TARGET = messages(("Tea?", None)) | {"options": ["yes", "no"], "probabilities": [0.3, 0.7]}


def test_a_fingerprint_is_a_short_hash():
    assert len(row_fingerprint(ROW)) == DIGITS
    assert set(row_fingerprint(ROW)) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("row", "same"),
    [
        (ROW, messages(("Milk?", "no"), ("Tea?", "yes"))),
        (ROW, messages(("Tea?", " yes\n"), ("Milk?", "no"), description="A  person.")),
        (ROW, ROW | {"id": "another", "options": [["yes", "no"]]}),
        (TARGET, TARGET | {"options": ["no", "yes"], "probabilities": [0.5, 0.5]}),
    ],
)
def test_order_white_space_and_names_do_not_count(row, same):
    assert row_fingerprint(row) == row_fingerprint(same)


def test_other_content_is_another_row():
    rows = [
        ROW, TARGET, messages(("Tea?", "no"), ("Milk?", "yes")), messages(("Tea?", "yes")),
        messages(("Tea?", "yes"), ("Tea?", "yes"), ("Milk?", "no")), messages(("Tea?", "yes"), description="Another."),
        messages(("Tea?", "yes"), ("Milk?", "no"), description=None), messages(("Tea?", None)),
        messages((None, "Tea?"), (None, "yes")), messages(("Tea?", "Yes"), ("Milk?", "no")),
        TARGET | {"options": ["yes", "no", "perhaps"], "probabilities": [0.3, 0.3, 0.4]},
    ]  # fmt: skip
    assert len(set(map(row_fingerprint, rows))) == len(rows)


def test_a_report_has_them_by_task_and_gives_them_back(tmp_path):
    of_tea, of_milk = (messages(("?", drink), ("?", "water")) for drink in ("tea", "milk"))
    draws = Dataset.from_list([{"id": str(n), **row} for n, row in enumerate([of_tea, of_milk, of_tea, ROW])])
    packed = packed_by_task((draws, None, Dataset.from_list([TARGET])), {"drinks": 3, "people": 1, "shares": 1})
    assert packed == {
        "drinks": "".join(sorted(map(row_fingerprint, (of_tea, of_milk)))),
        "people": row_fingerprint(ROW),
        "shares": row_fingerprint(TARGET),
    }
    before = {ENTRY: {"older": row_fingerprint(messages(("Tea?", "no"), ("Tea?", "no")))}}
    path = tmp_path / "training_report.json"
    path.write_text(json.dumps({ENTRY: packed, "before": [before, {}]}))
    rows = (of_tea, of_milk, ROW, TARGET, messages(("Tea?", "no"), ("Tea?", "no")))
    assert trained_fingerprints(path) == {row_fingerprint(row) for row in rows}


@pytest.mark.parametrize("content", [None, "", "[]", '{"row_fingerprints": 3}', '{"before": 3}', '{"steps": 3}'])
def test_a_report_without_them(tmp_path, content):
    path = tmp_path / "training_report.json"
    if content is not None:
        path.write_text(content)
    assert trained_fingerprints(path) == frozenset()


def test_they_are_published_as_they_are():
    rows = Dataset.from_list([{"id": str(n), **messages((f"Question {n}?", "yes"))} for n in range(500)])
    report = {ENTRY: packed_by_task([rows], {"people": 500})}
    assert len(report[ENTRY]["people"]) == 500 * DIGITS
    assert fit(report) == report  # no path of this machine
    assert found_in(json.dumps(report)) is None  # no secret
