import polars as pl
import pytest

from dataset_builder.sources.drop import DROP, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "data/validation-00000-of-00001.parquet"
RUNNING = "Ada ran 3 km on Monday and 4 km on Tuesday. Bo ran 9 km."
BRIDGE = "In 1901 the Zoë bridge was built; it fell in 1950."


def test_the_first_listed_answer_is_the_output(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(DROP)))
    assert {name: process.draws for name, process in processes.items()} == {
        "validation": (
            Draw(f"{RUNNING}\nQuestion: Who ran further in all?", "Bo"),
            Draw(f"{RUNNING}\nQuestion: How many km did Ada run?", "7"),
            Draw(f"{BRIDGE}\nQuestion: How did the bridge of 1901 end, and what was its name?", "it fell"),
        )
    }
    assert dropped == {"passage, question or answer is empty": 2}
    [description] = processes["validation"].descriptions
    assert "short answer that stands in the passage or follows from it" in description


def test_the_task_is_held_out_and_partitioned():
    assert (TASK.split, TASK.options) == ("test", None)
    assert TASK.sequences == Sequences("partition", 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop("passage"), "lacks a column it should have"),
        (lambda table: table.with_columns(answers_spans=pl.lit("Bo")), "column 'answers_spans'"),
        (
            lambda table: table.with_columns(answers_spans=pl.struct(texts="question")),
            "row 1: it has no list of answers",
        ),
        (lambda table: table.with_columns(answers_spans=pl.lit(None)), "row 1: "),
        (lambda table: table.with_columns(question=pl.concat_list("question")), "column 'question'"),
        (lambda table: table.head(0), "holds no row"),
    ],
)
def test_a_damaged_table_is_named(damaged_files, change, message):
    files = damaged_files(DROP)
    change(pl.read_parquet(files[PATH])).write_parquet(files[PATH])
    with pytest.raises(UserError, match=r"validation-00000-of-00001\.parquet") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("kept", [0, 100, -20])
def test_a_truncated_table_is_named(damaged_files, kept):
    files = damaged_files(DROP)
    files[PATH].write_bytes(files[PATH].read_bytes()[:kept])
    with pytest.raises(UserError, match=r"validation-00000-of-00001\.parquet' is not valid Parquet"):
        list(TASK.read(files))
