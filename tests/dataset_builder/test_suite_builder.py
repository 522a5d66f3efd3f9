import json

import datasets
import numpy as np
import pytest

from dataset_builder import suite_builder
from dataset_builder.registry import get_task
from dataset_builder.sequences import cut
from dataset_builder.suite_builder import Counts, SpectrumSuite, read_examples, tables
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec
from spectrum_suite import seeding
from spectrum_suite.errors import UserError
from tests.dataset_builder.toy_rows import SOURCE, icl_task, rows_of, toy_rows


def test_icl_rows_hold_the_description_then_inputs_and_outputs():
    example = Example("p", ("What it is.",), (Draw("q", "1"), Draw(None, "2"), Draw("r", "3")))
    (row,) = rows_of(icl_task(), [example])
    description, *rest = row["messages"]
    assert description == {"role": "description", "content": "What it is."}
    pairs = {("input", "q"): ("output", "1"), ("input", "r"): ("output", "3")}
    texts = [(message["role"], message["content"]) for message in rest]
    assert sorted(texts) == sorted([*pairs, *pairs.values(), ("output", "2")])
    assert all(texts[texts.index(given) + 1] == output for given, output in pairs.items())
    assert {key: row[key] for key in ("id", "process", "source", "n_outputs")} == {
        "id": "task/p/0", "process": "p", "source": "s", "n_outputs": 3,
    }  # fmt: skip


def test_distribution_rows_hold_the_prompt_and_the_shares(toy_tasks):
    row = toy_rows("toy_urn")[2]
    assert row == {
        "id": "toy_urn/u2",
        "messages": [{"role": "description", "content": "An urn."}, {"role": "input", "content": "Which?"}],
        "options": ["red", "blue"],
        "probabilities": [0.25, 0.75],
        "n_responses": 8,
        "source": "nothing",
        "output_label": "Colour",
    }


def test_coverage_rows_hold_what_is_asked_and_what_is_valid():
    spec = TaskSpec(
        "days", "coverage", "test", SOURCE, "random_draws", "Days.", "a kind of thing", ("day",),
        validator="one_of", max_new_tokens=8, generate=lambda rng, i: None, n_processes=1,
    )  # fmt: skip
    example = Example(
        "days", ("Asks for a day.",), (Draw(None, "Monday"), Draw(None, "Friday")), valid=("monday", "friday")
    )
    assert rows_of(spec, [example]) == [
        {
            "id": "days/days",
            "description": "Asks for a day.",
            "examples": ["Monday", "Friday"],
            "validator": "one_of",
            "valid_items": ["monday", "friday"],
            "max_new_tokens": 8,
            "source": "s",
        }
    ]


@pytest.mark.parametrize("settings", [{}, {"validator": "one_of"}, {"max_new_tokens": 8}])
def test_a_coverage_task_needs_a_rule_and_a_length(settings):
    with pytest.raises(ValueError, match="'validator' and 'max_new_tokens'"):
        TaskSpec(
            "days", "coverage", "test", SOURCE, "random_draws", "Days.", "a kind of thing", ("day",),
            generate=lambda rng, i: None, n_processes=1, **settings,
        )  # fmt: skip


def test_the_columns_are_those_of_the_declared_features(toy_tasks, tmp_path):
    for name, split in [("toy_numbers", "train"), ("toy_urn", "test")]:
        builder = SpectrumSuite(config_name=name, cache_dir=str(tmp_path))
        builder.download_and_prepare(str(tmp_path / name), file_format="parquet")
        loaded = datasets.load_dataset("parquet", data_dir=str(tmp_path / name), cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == [split]
        assert loaded[split].features == builder.info.features


def test_each_description_is_chosen_about_equally_often():
    how = Sequences("several", 2, 4000)
    example = Example("p", ("a", "b", "c", "d"), (Draw(None, "x"), Draw(None, "y")))
    chosen = [row["messages"][0]["content"] for row in rows_of(icl_task(sequences=how), [example])]
    counts = np.array([chosen.count(text) for text in "abcd"])
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)


def test_every_row_of_a_described_process_keeps_a_description(toy_tasks):
    rows = toy_rows("toy_numbers")
    assert len(rows) == 6
    assert all(row["messages"][0]["role"] == "description" for row in rows)
    assert len({row["messages"][0]["content"] for row in rows}) > 1


def test_a_row_does_not_depend_on_the_processes_beside_it():
    examples = [Example(f"p{i}", ("a", "b", "c"), tuple(Draw(None, str(j)) for j in range(30))) for i in range(8)]
    spec = icl_task(sequences=Sequences("partition", 7))
    together = rows_of(spec, examples)
    assert [row for row in together if row["process"] == "p5"] == rows_of(spec, [examples[5]])
    assert together != rows_of(icl_task("other", Sequences("partition", 7)), examples)


def test_generated_processes_depend_on_seed_task_and_index_only():
    def generate(rng, index):
        return Example(str(index), draws=(Draw(None, str(rng.integers(10**9))),))

    def outputs(name, n_processes, seed=42):
        spec = icl_task(name, n_processes=n_processes, generate=generate)
        return [example.draws[0].output for example in read_examples(spec, {}, seed)]

    assert outputs("task", 5)[:3] == outputs("task", 3)
    assert len({*outputs("task", 3), *outputs("other", 3), *outputs("task", 3, seed=43)}) == 9
    expected = seeding.generator(42, "task", "process", 1).integers(10**9)
    assert outputs("task", 3)[1] == str(expected)


def test_each_draw_of_a_partition_is_used_once_but_for_those_that_would_be_alone(toy_tasks, people_dir, tmp_path):
    builder = SpectrumSuite(config_name="toy_people", data_dir=str(people_dir), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare(str(tmp_path / "out"), file_format="parquet")
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "out" / "*.parquet"), split="train")
    alone = builder.counts.dropped["row with fewer than 2 draws"]
    for person in ("ann", "bob", "cy"):
        messages = [m for row in rows if row["process"] == person for m in row["messages"]]
        used = [m["content"] for m in messages if m["role"] == "input"]
        assert len(set(used)) == len(used)
        assert set(used) <= {f"question {i}" for i in range(30)}
    assert alone == sum(
        len(order) == 1
        for person in ("ann", "bob", "cy")
        for order in cut(30, get_task("toy_people").sequences, 42, "toy_people", person)
    )
    assert alone > 0
    assert sum(row["n_outputs"] for row in rows) == builder.counts.draws == 90 - alone
    assert min(row["n_outputs"] for row in rows) == 2


@pytest.mark.parametrize(
    ("sequences", "n_draws", "ids", "dropped"),
    [
        (Sequences("one"), 1, [], 1),
        (Sequences("one"), 2, [0], 0),
        (Sequences("one", 1), 9, [], 1),
        (Sequences("several", 5, 3), 1, [], 3),
        (Sequences("partition", 4), 9, [0, 1], 1),
        (Sequences("partition", 4), 10, [0, 1, 2], 0),
    ],
)
def test_a_row_has_at_least_two_draws_and_those_that_stay_are_called_as_before(sequences, n_draws, ids, dropped):
    examples = [Example(name, (), tuple(Draw(None, str(i)) for i in range(n_draws))) for name in "pq"]
    counts = Counts()
    rows = rows_of(icl_task(sequences=sequences), examples, counts=counts)
    assert [row["id"] for row in rows] == [f"task/{name}/{row}" for name in "pq" for row in ids]
    assert all(row["n_outputs"] >= 2 for row in rows)
    assert counts.dropped.total() == 2 * dropped
    assert counts.processes == (2 if ids else 0)


def test_the_size_of_tables_does_not_change_the_rows(monkeypatch):
    examples = [Example(f"p{i}", (), tuple(Draw("q", str(j)) for j in range(10))) for i in range(9)]
    whole = rows_of(icl_task(), examples)
    monkeypatch.setattr(suite_builder, "_TABLE_TEXTS", 41)  # three rows of 20 messages reach it
    assert [len(table) for table in tables(icl_task(), examples, 42)] == [3, 3, 3]
    assert rows_of(icl_task(), examples) == whole


def test_a_quick_look_is_the_start_of_the_whole(toy_tasks):
    assert toy_rows("toy_numbers", max_rows=4) == toy_rows("toy_numbers")[:4]


def test_a_malformed_row_names_its_file_and_line(toy_tasks, write_people):
    bad = json.dumps({"person": "dan", "scores": [1, "much"]})
    sources_dir = write_people("ann", last_line=bad)
    with pytest.raises(UserError, match=r"people\.jsonl', row 2: .*'much'"):
        toy_rows("toy_people", data_dir=str(sources_dir))


def test_a_reader_that_names_no_row_still_ends_in_one_line():
    def read(files):
        yield Example("p", draws=(Draw(None, " padded "),))

    spec = TaskSpec(
        "task", "icl", "train", SOURCE, "random_draws", "Draws.", "a list", ("value",),
        sequences=Sequences("one"), read=read,
    )  # fmt: skip
    with pytest.raises(UserError, match=r"task 'task': the raw files of source 's'.*white space"):
        list(read_examples(spec, {}, 42))


def test_two_processes_of_one_name_are_refused(toy_tasks, write_people):
    sources_dir = write_people("ann", "bob", "ann")
    with pytest.raises(UserError, match="two processes 'ann'"):
        toy_rows("toy_people", data_dir=str(sources_dir))


def test_a_task_without_any_process_is_a_mistake(toy_tasks, write_people):
    sources_dir = write_people("nobody", "nobody")
    with pytest.raises(UserError, match=r"'toy_people' has nothing to build from.*2 rows: no person"):
        toy_rows("toy_people", data_dir=str(sources_dir))


def test_the_builder_answers_an_unknown_task(toy_tasks):
    with pytest.raises(UserError, match="did you mean 'toy_urn'"):
        SpectrumSuite(config_name="toy_um")


def test_a_task_without_any_raw_file_says_so(toy_tasks, tmp_path):
    (tmp_path / "raw").mkdir()
    builder = SpectrumSuite(config_name="toy_people", data_dir=str(tmp_path / "raw"), allow_missing=True)
    with pytest.raises(UserError, match="'toy_people' has none of its raw files"):
        builder.as_streaming_dataset(split="train")
