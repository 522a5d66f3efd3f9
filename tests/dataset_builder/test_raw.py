from pathlib import Path

import polars as pl
import pytest

from dataset_builder.raw import at_row, matching, read_csv, read_json, read_json_lines, read_parquet, read_text
from spectrum_suite.errors import UserError

COLUMNS = {"name": pl.String, "score": pl.Int64}


@pytest.fixture
def raw(tmp_path):
    def write(content):
        path = tmp_path / "raw.file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_csv_reads_the_named_columns_as_their_types(raw):
    frame = read_csv(raw('\ufeffscore,extra,name\n3,x,"a ""b""\n\nc, d"\n,y,NA\n'), COLUMNS)
    assert frame.schema == {"name": pl.String, "score": pl.Int64}
    assert frame.rows() == [('a "b"\n\nc, d', 3), ("NA", None)]


def test_csv_without_header_takes_the_columns_in_order(raw):
    assert read_csv(raw("a,1\nb,2\n"), COLUMNS, has_header=False).rows() == [("a", 1), ("b", 2)]
    with pytest.raises(UserError, match="row 2: it has 1 fields where 2 are expected"):
        read_csv(raw("a,1\nb\n"), COLUMNS, has_header=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,score\na,1\nb\n", r"raw\.file', row 2: it has 1 fields where 2 are expected"),
        ("name,score\na,1,9\n", r"row 1: it has 3 fields where 2 are expected"),
        ('name,score\n"two\nlines",1\nb,x1\n', r"row 2: column 'score' holds 'x1', which is not Int64"),
        ("name\na\n", r"raw\.file' lacks a column.*'score'"),
        ("name,score\n", "holds no row"),
        ("", "is not valid CSV"),
        (b"name,score\n\xff,1\n", "Row #2.*UTF8"),
    ],
)
def test_csv_faults_name_the_file_and_the_row(raw, content, message):
    with pytest.raises(UserError, match=message):
        read_csv(raw(content), COLUMNS)


def test_json_lines_yield_numbered_objects(raw):
    path = raw('{"id": 7, "text": "a"}\n{"id": 8, "text": "b", "more": []}\n')
    assert list(read_json_lines(path, {"id": int, "text": str | None})) == [
        (1, {"id": 7, "text": "a"}),
        (2, {"id": 8, "text": "b", "more": []}),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"raw\.file', row 2: Expecting"),
        ("[1]", "row 2: it is not a JSON object but list"),
        ("{}", "row 2: there is no 'id'"),
        ('{"id": "7"}', "row 2: field 'id' holds '7', which is not int"),
        ("", "row 2: "),
    ],
)
def test_json_lines_faults_name_the_file_and_the_line(raw, line, message):
    path = raw('{"id": 7}\n' + line + "\n")
    with pytest.raises(UserError, match=message):
        list(read_json_lines(path, {"id": int}))


def test_files_without_content_or_in_another_encoding_are_refused(raw):
    with pytest.raises(UserError, match="holds no row"):
        list(read_json_lines(raw(""), {}))
    with pytest.raises(UserError, match="is empty"):
        read_text(raw(" \n"))
    with pytest.raises(UserError, match="is not UTF-8"):
        read_text(raw(b"caf\xe9"))
    with pytest.raises(UserError, match=r"raw\.file' is not JSON"):
        read_json(raw("{'a': 1}"))
    assert read_json(raw('\ufeff{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize("fault", [KeyError("age"), ValueError("age 200 is too high"), IndexError("age")])
def test_faults_while_parsing_a_row_name_it(tmp_path, fault):
    with pytest.raises(UserError, match=r"people\.csv', row 5: .*age"), at_row(tmp_path / "people.csv", 5):
        raise fault


def test_a_csv_that_is_cut_off_inside_a_quoted_field_is_refused(raw):
    whole = 'name,score,about\nann,1,"likes ""tea"", and more"\nbob,2,"long'
    with pytest.raises(UserError, match="truncated"):
        read_csv(raw(whole), COLUMNS)
    assert read_csv(raw(whole + 'er"'), COLUMNS).rows() == [("ann", 1), ("bob", 2)]


def test_parquet_reads_the_named_columns_as_their_types(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["a", None], "label": [1, 0], "more": [1.5, 2.5]}).write_parquet(path)
    frame = read_parquet(path, {"label": pl.Int8, "text": pl.String})
    assert frame.rows() == [(1, "a"), (0, None)]
    assert frame.schema == {"label": pl.Int8, "text": pl.String}


@pytest.mark.parametrize(
    ("columns", "wanted", "message"),
    [
        ({"text": ["a"]}, {"label": pl.Int8}, "lacks a column"),
        ({"label": ["1", "x"]}, {"label": pl.Int8}, "row 2: column 'label' holds 'x'"),
        ({"label": [[1]]}, {"label": pl.Int8}, "column 'label' of type List"),
        ({"label": []}, {"label": pl.Null}, "holds no row"),
        (None, {"label": pl.Int8}, "is not valid Parquet"),
    ],
)
def test_parquet_faults_name_the_file(tmp_path, columns, wanted, message):
    path = tmp_path / "a.parquet"
    if columns is None:
        path.write_bytes(b"PAR1 cut")
    else:
        pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(UserError, match=r"a\.parquet") as error:
        read_parquet(path, wanted)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_matching_files_come_sorted():
    files = {name: Path(name) for name in ("b/2.txt", "a/10.txt", "b/1.txt", "c.csv")}
    assert [name for name, _ in matching(files, "*/*.txt")] == ["a/10.txt", "b/1.txt", "b/2.txt"]
