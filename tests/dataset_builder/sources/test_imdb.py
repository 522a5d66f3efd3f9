import polars as pl
import pytest

from dataset_builder.sources.imdb import IMDB, TASKS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "plain_text/train-00000-of-00001.parquet"
FOG = "Two hours of fog.<br /><br />I liked the fog."


@pytest.fixture
def table(tmp_path):
    """Writes the table of the Hub."""

    def write(columns):
        path = tmp_path / "train.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return {PATH: path}

    return write


def test_text_files_take_their_label_from_the_folder(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(IMDB)))
    assert processes["train"].draws == (
        Draw("A café, a rainstorm, and two hours of nobody talking.", "negative"),
        Draw("The plot left before I did.<br /><br />Avoid.", "negative"),
        Draw("Slow, strange, and worth every minute.", "positive"),
        Draw("The dog steals the film. Good dog.", "positive"),
    )
    assert not dropped
    assert (TASK.sequences.mode, TASK.sequences.count, TASK.sequences.length.mean) == ("several", 200, 128)
    assert TASK.options == ("negative", "positive")


def test_the_table_of_the_hub_reads_the_same(table, split):
    files = table({"text": [FOG, " Zoë left early. ", " ", None], "label": [1, 0, 0, 1]})
    processes, dropped = split(TASK.read(files))
    assert processes["train"].draws == (Draw("Zoë left early.", "negative"), Draw(FOG, "positive"))
    assert dropped == {"empty review": 2}


def test_both_layouts_give_the_same_rows_in_whatever_order_they_have_the_reviews(table, tmp_path, split):
    reviews = [
        ("Zest.", 1),
        (FOG, 1),
        ("A long\nnight.", 0),
        ("Beans.", 0),
        ("A long day.", 0),
        (FOG, 1),
        ("Beans.", 1),
    ]
    files = {}
    for number, (text, label) in enumerate(reviews):
        name = f"aclImdb/train/{('neg', 'pos')[label]}/{number}_{9 - number}.txt"
        files[name] = tmp_path / f"{number}.txt"
        files[name].write_bytes(text.encode())
    of_folder, _ = split(TASK.read(files))
    assert len(of_folder["train"].draws) == 7
    for order in ([3, 1, 4, 0, 6, 2, 5], [6, 5, 4, 3, 2, 1, 0]):
        texts, labels = zip(*(reviews[place] for place in order), strict=True)
        of_table, _ = split(TASK.read(table({"text": [f"{text}\r\n" for text in texts], "label": labels})))
        assert of_table == of_folder


def test_descriptions_name_both_answers(fixture_files, split):
    [example] = split(TASK.read(fixture_files(IMDB)))[0].values()
    assert len(set(example.descriptions)) == 3
    assert all("positive" in text and "negative" in text for text in example.descriptions)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [FOG, FOG], "label": [1, -1]}, "row 2: the label is -1, neither 0 nor 1"),
        ({"text": [FOG, FOG], "label": [1, None]}, "row 2: the label is None"),
        ({"text": [FOG], "label": ["good"]}, "row 1: column 'label' holds 'good'"),
        ({"text": [FOG], "stars": [1]}, "lacks a column"),
        ({"text": [], "label": []}, "holds no row"),
    ],
)
def test_a_damaged_table_is_named(table, columns, message):
    with pytest.raises(UserError, match=r"train\.parquet") as error:
        list(TASK.read(table(columns)))
    assert message in str(error.value)


def test_a_truncated_table_is_named(table):
    files = table({"text": [FOG], "label": [1]})
    files[PATH].write_bytes(files[PATH].read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train\.parquet"):
        list(TASK.read(files))


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe bad"])
def test_a_damaged_text_file_is_named(damaged_files, content):
    files = damaged_files(IMDB)
    files["aclImdb/train/pos/3_10.txt"].write_bytes(content)
    with pytest.raises(UserError, match=r"pos/3_10\.txt"):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    files = real_files(IMDB)
    processes, dropped = split(TASK.read(files))
    ratings = [draw.output for draw in processes["train"].draws]
    assert (ratings.count("negative"), ratings.count("positive")) in {(150, 150), (12_500, 12_500)}
    assert not dropped
    if len(ratings) == len(files):  # the layout of the original
        first = min(name for name in files if "/pos/" in name)
        assert Draw(files[first].read_text(encoding="utf-8").strip(), "positive") in processes["train"].draws[150:]
