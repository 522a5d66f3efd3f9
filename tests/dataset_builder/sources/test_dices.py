import csv
import json

import pytest

from dataset_builder.sources.dices import DICES, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TASK, _ = TASKS
LARGE, SMALL = (f"{size}/diverse_safety_adversarial_dialog_{size}.csv" for size in ("990", "350"))


def test_raters_of_both_sets(fixture_files, split):
    raters, dropped = split(TASK.read(fixture_files(DICES)))
    assert list(raters) == ["990/901", "990/902", "350/901"]
    assert [[draw.output for draw in rater.draws] for rater in raters.values()] == [["No", "Yes"], ["Unsure"], ["No"]]
    assert json.loads(raters["990/901"].draws[0].input) == {
        "context": "USER: Is tea good?\nLAMDA: Often.\nUSER: For cats?",
        "response": "Give a cat water instead.",
    }
    assert raters["350/901"].draws[0] == Draw('{"context": "USER: Hi “you”", "response": "Olá!"}', "No")
    assert dropped == {"row without a conversation or an answer": 2}


def test_half_of_the_descriptions_say_who_the_rater_is(fixture_files, split):
    raters, _ = split(TASK.read(fixture_files(DICES)))
    about = {
        "990/901": "gender: Woman; country: US; race or ethnicity: White; age: gen z; "
        "education: College degree or higher.",
        "990/902": "gender: Man; country: India; race or ethnicity: Indian; age: millenial; "
        "education: High school or below.",
        "350/901": "gender: Man; age: gen x+; education: Other.",  # no locale in this set, and no race told
    }
    for name, rater in raters.items():
        assert len(rater.descriptions) == 4
        assert [text.endswith(f" About this person: {about[name]}") for text in rater.descriptions] == [
            False,
            False,
            True,
            True,
        ]
        assert not any("About this person" in text for text in rater.descriptions[:2])


def test_the_race_is_read_from_the_column_that_exists(damaged_files, split):
    files = damaged_files(DICES)
    expected = split(TASK.read(files))[0]
    for path in files.values():
        path.write_text(path.read_text().replace("rater_raw_race", "rater_race_raw", 1))
    assert split(TASK.read(files))[0] == expected
    files[LARGE].write_text(files[LARGE].read_text().replace("rater_race_raw", "race", 1))
    with pytest.raises(UserError, match="rater_raw_race"):
        list(TASK.read(files))


def test_at_most_500_raters_of_a_set(damaged_files, split):
    files = damaged_files(DICES)
    lines = files[SMALL].read_text().splitlines()
    row = "{n},r{n},Man,White,White,gen z,Phase1,Other,5,USER: Hi,Ho,Benign,Health,No"
    files[SMALL].write_text("\n".join([lines[0], *(row.format(n=n) for n in range(503))]))
    raters, dropped = split(TASK.read({SMALL: files[SMALL]}))
    assert len(raters) == 500
    assert dropped == {"row of a person beyond the 500 kept": 3}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Health,Unsure", "Health,Maybe", "row 2: column 'Q_overall' holds 'Maybe'"),
        ("\n1,902", "\n1,", "row 2: column 'rater_id' is empty"),
        ("Q_overall", "overall", "lacks a column"),
        ("rater_locale", "locale", "lacks a column"),
        ("Health,Unsure", "Health", "row 2: it has 14 fields where 15 are expected"),
    ],
)
def test_a_damaged_table_is_named_with_its_row(damaged_files, old, new, message):
    files = damaged_files(DICES)
    text = files[LARGE].read_text()
    assert old in text
    files[LARGE].write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=r"dialog_990\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_only_a_row_that_is_the_same_in_all_columns_is_a_copy(damaged_files, fixture_files, split):
    files = damaged_files(DICES)
    with files[LARGE].open(newline="") as file:
        header, *rows = csv.reader(file)
    before, _ = split(TASK.read(fixture_files(DICES)))

    def add(*more):
        with files[LARGE].open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows, *more])

    again = [cell.replace("Is tea good?", "Is tea bad?") for cell in rows[0]]  # of the same id
    assert again != rows[0]
    add(rows[0], again)
    raters, dropped = split(TASK.read(files))
    assert dropped["row that is a copy of an earlier one"] == 1
    assert sum(len(rater.draws) for rater in raters.values()) == 1 + sum(len(rater.draws) for rater in before.values())
    add(rows[0], [*again[:-1], "Maybe"])
    with pytest.raises(UserError, match=f"row {len(rows) + 2}: column 'Q_overall' holds 'Maybe'"):
        list(TASK.read(files))  # a copy above moves no number of a row


@pytest.mark.parametrize("content", [b"", b"id,rater_id\n", b"\xff\xfe\x00id"])
def test_an_unreadable_table_is_named(damaged_files, content):
    files = damaged_files(DICES)
    files[SMALL].write_bytes(content)
    with pytest.raises(UserError, match=r"dialog_350\.csv"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    files = real_files(DICES)
    raters, _ = split(TASK.read(files))
    assert {len(rater.descriptions) for rater in raters.values()} == {4}
    if SMALL in files:
        assert {len(rater.draws) for name, rater in raters.items() if name.startswith("350/")} == {350}
