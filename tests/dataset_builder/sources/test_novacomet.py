import json

import polars as pl
import pytest

from dataset_builder.sources.novacomet import NOVACOMET, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

SHARD = "data/train-00000-of-00001.parquet"
HYPOTHESIS, PREMISE = TASKS
TOMATOES, TRAM, CAFE = "Mia waters the tomatoes.", "Jonas misses the last tram.", "Ana opens a café."


def test_the_hypothesis_task_answers_a_premise_with_all_its_hypotheses_as_json(fixture_files, split):
    processes, dropped = split(HYPOTHESIS.read(fixture_files(NOVACOMET)))
    assert (HYPOTHESIS.name, HYPOTHESIS.inputs, HYPOTHESIS.outputs) == (
        "novacomet_hypothesis",
        ("premise",),
        ("hypotheses",),
    )
    assert processes["train"].draws == (
        Draw(TOMATOES, '["The soil gets wet.", "Mia wants ripe tomatoes; soon.", "Mia owns a garden."]'),
        Draw(TRAM, '["Jonas has to walk.", "It is late at night."]'),
        Draw(CAFE, '["Guests come for coffee."]'),
    )
    assert dropped == {"premise or hypothesis is empty": 2}


def test_the_description_promises_what_the_data_are(fixture_files, split):
    processes, _ = split(HYPOTHESIS.read(fixture_files(NOVACOMET)))
    for description in processes["train"].descriptions:
        assert "JSON" in description
        assert "eight to ten" in description
        assert "semicolon" not in description


def test_the_premise_task_lists_distinct_premises(fixture_files, split):
    processes, dropped = split(PREMISE.read(fixture_files(NOVACOMET)))
    assert (PREMISE.name, PREMISE.inputs, PREMISE.outputs) == ("novacomet_premise", (), ("premise",))
    assert processes["train"].draws == (Draw(None, TOMATOES), Draw(None, TRAM), Draw(None, CAFE))
    assert dropped == {"premise is empty": 1, "repeated premise": 4}
    assert len(processes["train"].descriptions) > 1


def test_several_shards_are_one_table(damaged_files, split):
    files = damaged_files(NOVACOMET)
    path = files.pop(SHARD)
    table = pl.read_parquet(path)
    for number, rows in ((1, table[2:]), (0, table[:2])):
        rows.write_parquet(path.with_name(f"part-{number}.parquet"))
        files[f"data/train-0000{number}-of-00002.parquet"] = path.with_name(f"part-{number}.parquet")
    premises, _ = split(PREMISE.read(files))
    assert [draw.output for draw in premises["train"].draws] == [TOMATOES, TRAM, CAFE]
    hypotheses, _ = split(HYPOTHESIS.read(files))
    assert len(json.loads(hypotheses["train"].draws[0].output)) == 3


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("premise,hypothesis\na,b\n"),
        lambda path: pl.read_parquet(path).rename({"premise": "event"}).write_parquet(path),
        lambda path: pl.read_parquet(path).clear().write_parquet(path),
        lambda path: pl.DataFrame({"premise": [["a"]], "hypothesis": ["b"]}).write_parquet(path),
    ],
)
@pytest.mark.parametrize("task", TASKS)
def test_a_damaged_file_is_named(damaged_files, damage, task):
    files = damaged_files(NOVACOMET)
    damage(files[SHARD])
    with pytest.raises(UserError, match=r"train-00000-of-00001\.parquet"):
        list(task.read(files))


def test_a_file_without_hypotheses_is_named(damaged_files):
    files = damaged_files(NOVACOMET)
    pl.read_parquet(files[SHARD]).drop("hypothesis").write_parquet(files[SHARD])
    with pytest.raises(UserError, match=r"lacks a column it should have.*hypothesis"):
        list(HYPOTHESIS.read(files))
