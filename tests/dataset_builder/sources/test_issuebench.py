import polars as pl
import pytest

from dataset_builder.sources.issuebench import ISSUEBENCH, TASKS
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "2_final_dataset/prompts_debug.csv"
HEADER = "template_id,template_text,topic_id,topic_polarity,topic_text,prompt_text\n"


def outputs(processes):
    return {process: [draw.output for draw in example.draws] for process, example in processes.items()}


def test_two_lists_of_distinct_texts_in_upstream_order(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(ISSUEBENCH)))
    assert outputs(processes) == {
        "topics": ["night trains", "night trains being good", "library fees"],
        "templates": ["write a limerick on X", 'a "short" speech about X, please', "un poème sur X"],
    }
    assert dropped == {"empty topic_text": 1, "empty template_text": 1}
    assert (TASK.sequences.mode, TASK.sequences.count, TASK.sequences.length) == ("several", 2, None)


def test_the_tables_of_the_hub_read_as_one(tmp_path, split):
    files = {}
    for part, topics in enumerate([["trams", "trams being bad"], ["tolls", "trams", " "]]):
        name = f"prompts/prompts_full-0000{part}-of-00002.parquet"
        files[name] = tmp_path / f"part-{part}.parquet"
        columns = {"topic_text": topics, "template_text": [f"{topic or 'an ode'} and X" for topic in topics]}
        pl.DataFrame(columns).write_parquet(files[name])
    processes, dropped = split(TASK.read(files))
    assert outputs(processes)["topics"] == ["trams", "trams being bad", "tolls"]
    assert outputs(processes)["templates"] == ["trams and X", "trams being bad and X", "tolls and X", "and X"]
    assert dropped == {"empty topic_text": 1}


def test_descriptions_say_what_a_list_holds(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(ISSUEBENCH)))
    assert all("politic" in text.lower() for text in processes["topics"].descriptions)
    assert all("X" in text and "request" in text for text in processes["templates"].descriptions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "chat-1,write on X,4,neutral,trams,write on trams\nchat-2,sing", "row 2: it has 2 fields where 6"),
        (HEADER.replace("topic_text", "subject") + "chat-1,write on X,4,neutral,trams,write on trams\n", "topic_text"),
        (HEADER, "holds no row"),
        ("", "prompts_debug.csv"),
        ((HEADER + "chat-1,un poème sur X,4,neutral,trams,x\n").encode("latin-1"), "prompts_debug.csv"),
    ],
)
def test_a_damaged_file_is_named(damaged_files, text, message):
    files = damaged_files(ISSUEBENCH)
    files[PATH].write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"prompts_debug\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("damage", ["truncated", "wrong column", "empty"])
def test_a_damaged_table_of_the_hub_is_named(tmp_path, damage):
    path = tmp_path / "full.parquet"
    name = "topic_txt" if damage == "wrong column" else "topic_text"
    pl.DataFrame({name: ["trams"], "template_text": ["write on X"]}).write_parquet(path)
    path.write_bytes({"truncated": path.read_bytes()[:50], "empty": b""}.get(damage, path.read_bytes()))
    with pytest.raises(UserError, match=r"full\.parquet"):
        list(TASK.read({"prompts/prompts_full-00000-of-00001.parquet": path}))


def test_real_rows(real_files, split):
    files = real_files(ISSUEBENCH)
    processes, dropped = split(TASK.read(files))
    lists = outputs(processes)
    assert {name: len(texts) for name, texts in lists.items()} == {"topics": 15, "templates": 10} or PATH not in files
    assert all("X" in template for template in lists["templates"])
    assert "single-payer healthcare" in lists["topics"]
    assert not dropped
