import csv
import json

import polars as pl
import pytest

from dataset_builder.sources.titanic import TASKS, TITANIC
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TABLE, SURVIVAL = TASKS
CSV, PARQUET = "titanic.csv", "survival/train/0000.parquet"
PASSENGERS = [
    {"has_survived": "0", "passenger_class": 3, "is_male": True, "age": 22.0, "sibsp": 1.0, "parch": 0.0, "fare": 7.25,
     "embarked": "S"},
    {"has_survived": "1", "passenger_class": 1, "is_male": False, "age": 38.5, "sibsp": 1.0, "parch": 2.0,
     "fare": 71.2833, "embarked": "C"},
    {"has_survived": "1", "passenger_class": 2, "is_male": True, "age": -1.0, "sibsp": 0.0, "parch": 0.0, "fare": 0.0,
     "embarked": "Q"},
    {"has_survived": "0", "passenger_class": 3, "is_male": False, "age": 0.83, "sibsp": 0.0, "parch": 1.0, "fare": 10.0,
     "embarked": "unknown"},
]  # fmt: skip
KAGGLE = """PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked
1,0,3,"Example, Mr. Bo",male,22,1,0,A/1 1,7.25,,S
2,1,1,"Sample, Mrs. Zoë",female,38.5,1,2,PC 2,71.2833,B1,C
3,1,2,"Probe, Master. Cy",male,,0,0,333,0,,Q
4,0,3,"Muster, Miss. Di",female,0.83,0,1,444,10,,
"""


@pytest.fixture
def layouts(tmp_path, fixture_files):
    """The passengers as the Hub has them, in the Hub's Parquet form, and as Kaggle has them."""
    kaggle, parquet = tmp_path / "titanic.csv", tmp_path / "0000.parquet"
    kaggle.write_text(KAGGLE, encoding="utf-8")
    frame = pl.DataFrame(PASSENGERS).with_columns(
        pl.col("has_survived").cast(pl.Int64),
        pl.col("passenger_class").cast(pl.Int8),
        pl.col("embarked").replace("unknown", "''"),
    )
    frame.write_parquet(parquet)
    return [fixture_files(TITANIC), {PARQUET: parquet}, {CSV: kaggle}]


def test_every_layout_gives_the_same_passengers(layouts, split):
    for files in layouts:
        processes, dropped = split(TABLE.read(files))
        assert list(processes) == ["train"]
        assert [json.loads(draw.output) for draw in processes["train"].draws] == PASSENGERS
        assert all(draw.input is None for draw in processes["train"].draws)
        assert not dropped
    assert processes["train"].draws[0].output == (
        '{"has_survived": "0", "passenger_class": 3, "is_male": true, "age": 22.0, "sibsp": 1.0, "parch": 0.0, '
        '"fare": 7.25, "embarked": "S"}'
    )


def test_survival_is_predicted_from_everything_else(layouts, split):
    for files in layouts:
        processes, _ = split(SURVIVAL.read(files))
        draws = processes["train"].draws
        assert [draw.output for draw in draws] == ["0", "1", "1", "0"]
        assert [json.loads(draw.input) for draw in draws] == [
            {name: value for name, value in passenger.items() if name != "has_survived"} for passenger in PASSENGERS
        ]


def test_what_the_tasks_say(layouts, split):
    for task in TASKS:
        assert (task.split, task.sequences.mode, task.sequences.length.mean) == ("train", "partition", 64)
        processes, _ = split(task.read(layouts[0]))
        for text in processes["train"].descriptions:
            assert all(name in text for name in PASSENGERS[0] if task is TABLE or name != "has_survived")
            assert "-1 if unknown" in text
    assert SURVIVAL.options == ("0", "1")
    assert TITANIC.files[0].path == CSV  # the file on the Hub and Kaggle's have one name; the header tells them apart


def test_names_tickets_and_cabins_are_not_told(layouts, split):
    for files in layouts:
        processes, _ = split(TABLE.read(files))
        texts = " ".join(draw.output for draw in processes["train"].draws)
        assert not any(told in texts for told in ("Example", "A/1", "B1", "ticket"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Embarked\n", "Port\n", "lacks a column"),
        ("\n2,1,1,", "\n2,?,1,", "row 2: has_survived is '?'"),
        ("\n3,1,2,", "\n3,1,,", "row 3: passenger_class is None"),
        (",male,22,", ",man,22,", "row 1: is_male is 'man'"),
        (",male,22,", ",male,old,", "row 1: could not convert string to float: 'old'"),
        (",7.25,", ",,", "row 1: fare is None, which is not a number"),
        (",7.25,", ",inf,", "row 1: fare is 'inf', which is not a number"),
        ("B1,C\n", "B1,X\n", "row 2: embarked is 'X'"),
        ("\n3,1,2,", "\n2,1,2,", "row 3: passenger 2 is repeated"),
        (",444,10,,\n", ",444\n", "row 4: it has 9 fields where 12 are expected"),
        (KAGGLE, "", "is empty"),
    ],
)
def test_a_damaged_file_of_kaggle_is_named(layouts, old, new, message):
    path = layouts[2][CSV]
    assert old in KAGGLE
    path.write_text(KAGGLE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"titanic\.csv") as error:
        list(TABLE.read(layouts[2]))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b",sex,", b",gender,", "lacks a column"),
        (b",?,0,0,", b",??,0,0,", "row 3: could not convert string to float"),
        (b"\n0,3,\"'Muster", b"\n2,3,\"'Muster", "row 4: has_survived is '2'"),
        ("Zoë".encode(), "Zoë".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_damaged_file_of_the_hub_is_named(damaged_files, old, new, message):
    files = damaged_files(TITANIC)
    whole = files[CSV].read_bytes()
    assert old in whole
    files[CSV].write_bytes(whole.replace(old, new, 1))
    with pytest.raises(UserError, match=r"titanic\.csv") as error:
        list(TABLE.read(files))
    assert message in str(error.value)


def test_a_damaged_parquet_file_is_named(layouts):
    path = layouts[1][PARQUET]
    whole, frame = path.read_bytes(), pl.read_parquet(path)
    frame.drop("fare").write_parquet(path)
    with pytest.raises(UserError, match=r"0000\.parquet.*lacks a column.*fare"):
        list(TABLE.read(layouts[1]))
    frame.with_columns(fare=pl.Series([1.0, None, 1.0, 1.0])).write_parquet(path)
    with pytest.raises(UserError, match=r"0000\.parquet', row 2: fare is None"):
        list(TABLE.read(layouts[1]))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"0000\.parquet"):
        list(TABLE.read(layouts[1]))


def test_real_rows(real_files, split):
    files = real_files(TITANIC)
    with files[CSV].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 891
    processes, _ = split(SURVIVAL.read(files))
    draws = processes["train"].draws
    if "Survived" not in rows[0]:
        pytest.skip("the rows were checked by hand in Kaggle's layout")
    assert [draw.output for draw in draws] == [row["Survived"] for row in rows]
    assert draws[0] == Draw(
        '{"passenger_class": 3, "is_male": true, "age": 22.0, "sibsp": 1.0, "parch": 0.0, "fare": 7.25, '
        '"embarked": "S"}',
        "0",
    )
    given = [json.loads(draw.input) for draw in draws]
    assert sum(one["age"] == -1 for one in given) == 177
    assert sum(one["embarked"] == "unknown" for one in given) == 2
    assert sum(one["is_male"] for one in given) == 577
