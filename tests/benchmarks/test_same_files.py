"""What counts as the same result: bytes, numbers and metadata; not times, folders, names of keys and words."""

import json

import pytest

from benchmarks.same_files import DIFFERENT, NAMES, SAME, WORDS, compare_files

CARD = "---\nlicense: mit\n---\n# Urns\n\n{} has 12 tasks and a divergence of {}. It took {} seconds.\n"
REPORT = {"created": "2026-01-01T00:00:00", "seconds": 3.5, "model": "/old/tiny", "scores": {"a": [0.25, None]}}
CODE = '"""{}"""\n\n\ndef half(number):  # {}\n    return number / {}\n'


@pytest.fixture
def compared(tmp_path):
    """``compared(name, old, new)``: the status and the notes of two files."""

    def compare(name, *contents):
        paths = [tmp_path / side / name for side in ("old", "new")]
        for path, content in zip(paths, contents, strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return compare_files(*paths, lambda text: text.replace("/old", "FOLDER").replace("/new", "FOLDER"))

    return compare


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"created": "2026-02-02T00:00:00", "seconds": 9.0, "model": "/new/tiny"}, SAME),
        ({"scores": {"b": [0.25, None]}}, NAMES),
        ({"scores": {"a": [0.25000001, None]}}, DIFFERENT),
        ({"scores": {"a": [0.25]}}, DIFFERENT),
        ({"scores": {"b": [0.5, None]}}, DIFFERENT),
        ({"more": 1}, DIFFERENT),
    ],
)
def test_reports_are_the_same_apart_from_times_folders_and_names(compared, change, status):
    found, notes = compared("report.json", json.dumps(REPORT), json.dumps(REPORT | change))
    assert found == status
    assert notes == ([] if status == SAME else notes)
    assert status != NAMES or notes == ["names: /scores/a -> b"]


@pytest.mark.parametrize(
    ("card", "status"),
    [
        (CARD.format("The suite", 0.25, 3), SAME),
        (CARD.format("The suite", 0.25, 4.5), SAME),
        (CARD.format("This dataset", 0.25, 3), WORDS),
        (CARD.format("The suite", 0.5, 3), DIFFERENT),
        (CARD.format("The suite", 0.25, 3).replace("mit", "apache-2.0"), DIFFERENT),
    ],
)
def test_cards_may_differ_in_words_alone(compared, card, status):
    assert compared("README.md", CARD.format("The suite", 0.25, 3), card)[0] == status


@pytest.mark.parametrize(
    ("code", "status"),
    [(CODE.format("Halves.", "exact", 2), WORDS), (CODE.format("Half.", "exactly", 3), DIFFERENT)],
)
def test_code_may_differ_in_comments_and_docstrings_alone(compared, code, status):
    assert compared("scoring.py", CODE.format("Half.", "exactly", 2), code)[0] == status


def test_any_other_file_is_compared_byte_for_byte(compared):
    assert compared("x.parquet", b"PAR1\xff", b"PAR1\xff") == (SAME, [])
    assert compared("x.parquet", b"PAR1\xff", b"PAR1\xfe")[0] == DIFFERENT
    assert compared("chat_template.jinja", "{{ bos }}", "{{ bos }} ")[0] == DIFFERENT


def test_of_a_list_of_checksums_the_names_count(compared):
    lists = [json.dumps({"what": "suite", "files": {"a": {"sha256": each}}}) for each in "xy"]
    assert compared(".push_to_hub.json", *lists) == (SAME, [])
