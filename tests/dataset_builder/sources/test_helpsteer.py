import gzip
import json
import re

import numpy as np
import pytest

from dataset_builder.sources.helpsteer import HELPSTEER, QUALITIES, TASKS, winner
from spectrum_suite.errors import UserError

(TASK,) = TASKS
FILE = "train.jsonl.gz"


def lines_of(path):
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def write(path, lines):
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def weights_of(judge):
    (text,) = (text for text in judge.descriptions if "weighs" in text)
    return [float(re.search(rf"{name} (-?\d\.\d\d)", text)[1]) for name in QUALITIES]


@pytest.mark.parametrize(
    ("first", "second", "weights", "expected"),
    [
        ([4, 0, 0, 0, 0], [0, 4, 0, 0, 0], [0.6, 0.5, 0, 0, 0], "1"),  # 2.4 > 2.0
        ([4, 0, 0, 0, 0], [0, 4, 0, 0, 0], [0.5, 0.6, 0, 0, 0], "2"),
        ([1, 1, 1, 4, 4], [1, 1, 1, 0, 0], [0.3, 0.3, 0.3, -0.1, -0.4], "2"),  # 0.9 - 2.0 < 0.9
        ([2, 2, 2, 1, 1], [2, 2, 2, 1, 1], [0.9, 0.1, 0.1, 0.2, 0.3], "2"),  # a tie goes to 2
    ],
)
def test_the_larger_weighted_sum_wins(first, second, weights, expected):
    assert winner(np.array([first, second]), np.array(weights)) == expected


def test_500_judges_have_500_settings(fixture_files, split):
    judges, dropped = split(TASK.read(fixture_files(HELPSTEER)))
    assert len(judges) == 500
    assert split(TASK.read(fixture_files(HELPSTEER)))[0] == judges
    weights = np.array([weights_of(judge) for judge in judges.values()])
    assert len({tuple(row) for row in weights}) == 500
    assert dropped == {"prompt or reply without text": 2}
    # Uniform over an interval of length 1 that starts at -0.05 or -0.5; 0.02 is what the ends of 500 draws may lack.
    assert np.allclose(weights.min(axis=0), [-0.05, -0.05, -0.05, -0.5, -0.5], atol=0.02)
    assert np.allclose(weights.max(axis=0), [0.95, 0.95, 0.95, 0.5, 0.5], atol=0.02)
    assert np.allclose(weights.mean(axis=0), [0.45, 0.45, 0.45, 0, 0], atol=0.05)
    assert np.all(np.abs(np.corrcoef(weights.T) - np.eye(5)) < 0.15)  # independent of each other


def test_a_judge_answers_by_the_weights_that_the_description_gives(fixture_files, split):
    files = fixture_files(HELPSTEER)
    rows = [json.loads(line) for line in lines_of(files[FILE])]
    ratings = {row["response"].strip(): [row[name] for name in QUALITIES] for row in rows}
    judges, _ = split(TASK.read(files))
    for judge in judges.values():
        weights = np.array(weights_of(judge))
        assert len(judge.draws) == 4
        for draw in judge.draws:
            given = json.loads(draw.input)
            assert list(given) == ["prompt", "response1", "response2"]
            margin = (np.subtract(ratings[given["response1"]], ratings[given["response2"]])) @ weights
            if abs(margin) > 0.1:  # the weights told are rounded
                assert draw.output == ("1" if margin > 0 else "2")


def test_the_weights_are_in_one_of_three_descriptions(fixture_files, split):
    judges, _ = split(TASK.read(fixture_files(HELPSTEER)))
    for judge in judges.values():
        assert [any(name in text for name in QUALITIES) for text in judge.descriptions] == [False, False, True]


def test_a_judge_sees_40_pairs_of_many_each_once(damaged_files, split):
    files = damaged_files(HELPSTEER)
    row = json.loads(lines_of(files[FILE])[0])
    write(files[FILE], [json.dumps(row | {"prompt": str(n // 2), "response": str(n)}) for n in range(200)])
    judges, _ = split(TASK.read(files))
    seen = {tuple(draw.input for draw in judge.draws) for judge in judges.values()}
    assert {len(pairs) for pairs in seen} == {len(set(pairs)) for pairs in seen} == {40}
    assert len(seen) == 500
    assert TASK.sequences.length == 40


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, {"helpfulness": 5}, "row 2: a rating is not a whole number from 0 to 4"),
        (2, {"helpfulness": "4"}, "row 2: a rating is not"),
        (3, {"response": None}, "row 3: the prompt or the reply is not text"),
        (4, {"prompt": "Another"}, "row 4: it does not have the prompt of the row before"),
    ],
)
def test_a_damaged_row_is_named(damaged_files, number, change, message):
    files = damaged_files(HELPSTEER)
    lines = lines_of(files[FILE])
    lines[number - 1] = json.dumps(json.loads(lines[number - 1]) | change)
    write(files[FILE], lines)
    with pytest.raises(UserError, match=r"train\.jsonl\.gz") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_a_missing_field_and_a_missing_reply_are_named(damaged_files):
    files = damaged_files(HELPSTEER)
    lines = lines_of(files[FILE])
    write(files[FILE], lines[:-1])
    with pytest.raises(UserError, match=r"row 9: it is the only reply to its prompt"):
        list(TASK.read(files))
    write(files[FILE], [lines[0].replace('"verbosity"', '"length"'), *lines[1:]])
    with pytest.raises(UserError, match=r"row 1: there is no 'verbosity'"):
        list(TASK.read(files))


def test_an_unreadable_file_is_named(damaged_files):
    files = damaged_files(HELPSTEER)
    whole = files[FILE].read_bytes()
    for content in (
        b"",
        b"{}",
        whole[:-20],
        gzip.compress(b""),
        gzip.compress(b'{"prompt": "\xff"}'),
        gzip.compress(b"["),
    ):
        files[FILE].write_bytes(content)
        with pytest.raises(UserError, match=r"train\.jsonl\.gz', row 1: "):
            list(TASK.read(files))


def test_real_rows(real_files, split):
    judges, _ = split(TASK.read(real_files(HELPSTEER)))
    assert {len(judge.draws) for judge in judges.values()} == {40}
