"""Tables of every kind of file are read as the same texts."""

import polars as pl
import pyreadstat
import pytest

from dataset_builder.task_files.read_table import column_names, guessed_header, read_table
from dataset_builder.task_files.reading import Reading
from spectrum_suite.errors import UserError
from tests.dataset_builder.task_files.workbooks import write_excel

ROWS = {"who": ["a", "b", "c"], "score": [1, None, 3], "share": [0.5, 2.0, None], "food": [" tea ", "NA", "milk"]}
TEXTS = {"who": ["a", "b", "c"], "score": ["1", None, "3"], "share": ["0.5", "2", None], "food": ["tea", None, "milk"]}


def write_csv(frame, path):
    frame.write_csv(path)


def write_tsv(frame, path):
    frame.write_csv(path, separator="\t")


def write_lines(frame, path):
    frame.write_ndjson(path)


def write_json(frame, path):
    frame.write_json(path)


def write_parquet(frame, path):
    frame.write_parquet(path)


def write_spss(frame, path):
    pyreadstat.write_sav(frame.to_pandas(), str(path))


WRITERS = {
    "csv": write_csv, "tsv": write_tsv, "jsonl": write_lines, "json": write_json, "parquet": write_parquet,
    "sav": write_spss,
}  # fmt: skip


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_kind_of_file_gives_the_same_texts(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    WRITERS[suffix](pl.DataFrame(ROWS), path)
    assert column_names(path, Reading()) == list(ROWS)
    table = read_table(path, ["food", "who", "score", "share"], Reading())
    found = {name: [column.get(index) for index in range(3)] for name, column in table.columns.items()}
    if suffix in ("csv", "tsv"):
        found["share"] = [text and text.removesuffix(".0") for text in found["share"]]  # a CSV file has texts alone
    assert found == TEXTS


def test_fields_of_objects_are_columns_in_parquet_as_in_json(tmp_path):
    rows = {"who": [{"age": 20, "home": {"country": "Chile"}}, {"age": None, "home": None}], "a.b": ["x", "y"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame(rows).write_ndjson(tmp_path / "t.jsonl")
    names = ["who.age", "who.home.country", "who.home", "who", "a.b"]
    for kind in ("parquet", "jsonl"):
        assert column_names(tmp_path / f"t.{kind}", Reading()) == names
    for some in (names[:2], [*names[:2], "a.b"], ["a.b", "who.home.country"]):
        found = [read_table(tmp_path / f"t.{kind}", some, Reading()) for kind in ("parquet", "jsonl")]
        for name in some:
            cells = [[table[name].get(row) for row in range(2)] for table in found]
            assert cells[0] == cells[1] == {"who.age": ["20", None], "a.b": ["x", "y"]}.get(name, ["Chile", None])


def test_excel_is_read_by_its_sheet(tmp_path):
    pytest.importorskip("fastexcel")
    rows = [list(ROWS), *zip(*ROWS.values(), strict=True)]
    write_excel(tmp_path / "table.xlsx", {"first": [["unused"], ["x"]], "answers": rows})
    assert column_names(tmp_path / "table.xlsx", Reading(sheet="answers")) == list(ROWS)
    table = read_table(tmp_path / "table.xlsx", list(ROWS), Reading(sheet="answers"))
    assert {name: [column.get(i) for i in range(3)] for name, column in table.columns.items()} == TEXTS
    with pytest.raises(UserError, match="no sheet 'other': it has"):
        read_table(tmp_path / "table.xlsx", list(ROWS), Reading(sheet="other"))


def test_spss_labels_are_the_answers_and_the_questions(tmp_path):
    frame = pl.DataFrame({"q1": [1.0, 2.0, 9.0], "q2": [1.0, 5.0, 2.0]}).to_pandas()
    labels = {"q1": {1.0: "Never", 2.0: "Often", 9.0: "No answer"}, "q2": {1.0: "Never", 2.0: "Often"}}
    pyreadstat.write_sav(frame, str(tmp_path / "t.sav"), column_labels=["Fruit?", None], variable_value_labels=labels)
    table = read_table(tmp_path / "t.sav", ["q1", "q2"], Reading(missing=("No answer",)))
    assert [table["q1"].get(index) for index in range(3)] == ["Never", "Often", None]
    assert [table["q2"].get(index) for index in range(3)] == ["Never", "5", "Often"]
    assert table.labels["q1"] == "Fruit?"
    assert table.options["q2"] == ("Never", "Often", "5")


def test_spss_options_are_those_of_codes_that_mean_an_answer_and_in_the_order_of_codes(tmp_path):
    frame = pl.DataFrame({"q": [1.0, 2.0, 3.0, -99.0, 98.0], "age": [*map(float, range(18, 23))]}).to_pandas()
    labels = {"q": {1.0: "нет", 3.0: "да", -99.0: "No answer", 99.0: "Not asked"}, "age": {97.0: "97 or more"}}
    missing = {"q": [-99, {"lo": 98, "hi": 99}]}
    pyreadstat.write_sav(frame, str(tmp_path / "t.sav"), variable_value_labels=labels, missing_ranges=missing)
    table = read_table(tmp_path / "t.sav", ["q", "age"], Reading())
    assert [table["q"].get(index) for index in range(5)] == ["нет", "2", "да", None, None]
    assert table.options["q"] == ("нет", "2", "да")


def test_an_excel_column_whose_texts_begin_late_keeps_them(tmp_path):
    pytest.importorskip("fastexcel")
    rows = [["who", "q"], *([f"p{n}", n % 3] for n in range(1500)), ["p1500", "Refused"]]
    write_excel(tmp_path / "t.xlsx", {"s": rows})
    column = read_table(tmp_path / "t.xlsx", ["q", "who"], Reading())["q"]
    assert (column.get(1499), column.get(1500)) == ("2", "Refused")


@pytest.mark.parametrize(
    ("rows", "header", "names"),
    [
        ([["id", "Fruit?", "Meat?"]], (), ["id", "Fruit?", "Meat?"]),
        ([["Survey of 2024"], [None], ["id", "Fruit?", "Meat?"]], (3,), ["id", "Fruit?", "Meat?"]),
        ([[None, "Food", None], ["id", "fruit", "meat"]], (1, 2), ["id", "Food: fruit", "Food: meat"]),
        ([["id", "Fruit?", "Meat?"], [None, "Response", "Response"]], (1, 2), ["id", "Fruit?", "Meat?"]),
    ],
    ids=["first row", "title above", "merged cells", "second row without names"],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_header_is_where_it_is_said_to_be_and_can_be_guessed(tmp_path, rows, header, names, kind):
    data = [[f"p{n}", ("Never", "Often")[n % 2], 0.1 * n] for n in range(4)]
    path = tmp_path / f"t.{kind}"
    if kind == "xlsx":
        pytest.importorskip("fastexcel")
        write_excel(path, {"s": [*rows, *data]})
    else:
        lines = [[*row, *[None] * (3 - len(row))] for row in [*rows, *data]]
        path.write_text("".join(",".join("" if cell is None else str(cell) for cell in line) + "\n" for line in lines))
    assert guessed_header(path, Reading()) == header
    assert column_names(path, Reading(header=header)) == names
    table = read_table(path, names[::-1], Reading(header=header))
    assert table.row(1, names) == {names[0]: "p1", names[1]: "Often", names[2]: "0.1"}
    assert table.numbers.tolist() == [1, 2, 3, 4]
    if header:
        with pytest.raises(UserError, match=rf"looks like its header: say 'header: \{list(header)}'"):
            read_table(path, ["Fruit?"] if header != (1, 2) or "Fruit?" not in rows[0] else ["x"], Reading())


def test_rows_are_numbered_from_below_the_header_where_lines_stand_above_it(tmp_path):
    (tmp_path / "t.csv").write_text('sep=;\n"A title\nof two lines";\n\n"who";"the\nquestion"\n1;a\n2;b;c\n3;d\n')
    reading = Reading(header=(4,))
    assert column_names(tmp_path / "t.csv", reading) == ["who", "the question"]
    table = read_table(tmp_path / "t.csv", ["the question", "who"], reading)
    assert [table["who"].get(index) for index in range(2)] == ["1", "3"]
    assert table.numbers.tolist() == [1, 3]
    assert table.unreadable == {2: "row with 3 fields where the header has 2"}


def test_the_questions_of_a_qualtrics_export_are_labels(tmp_path):
    ids = '"{""ImportId"":""_recordId""}","{""ImportId"":""QID1_TEXT""}"'
    (tmp_path / "t.csv").write_text(
        f'ResponseId,Q1\nResponse ID,"How often, ""in all""?"\n{ids}\nR_1,Often\nR_2,Never\n'
    )
    table = read_table(tmp_path / "t.csv", ["ResponseId", "Q1"], Reading())
    assert [table["Q1"].get(index) for index in range(2)] == ["Often", "Never"]
    assert table.labels["Q1"] == 'How often, "in all"?'
    assert table.numbers.tolist() == [1, 2]


def test_inner_fields_of_json_are_columns(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": {"b": 1, "c": [1, "x"]}}\n{"a": null}\n')
    assert column_names(path, Reading()) == ["a.b", "a.c", "a"]
    table = read_table(path, ["a.b", "a.c"], Reading())
    assert table.row(0, ["a.b", "a.c"]) == {"a.b": "1", "a.c": '[1, "x"]'}
    assert table.row(1, ["a.b", "a.c"]) == {"a.b": None, "a.c": None}


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("t.docx", b"x", "is of no known kind: give one of .csv"),
        ("t.parquet", b"PAR1 is not all", "cannot be read as Parquet"),
        ("t.sav", b"$FL2 and no more", "cannot be read as an SPSS file"),
        ("t.json", b'{"a": 1}', "is not a list of objects"),
        ("t.jsonl", b"\xff\xfe\x00", "cannot be read as JSON|holds no row|has no column"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=part) as error:
        read_table(tmp_path / name, ["a"], Reading())
    assert "\n" not in str(error.value)


def test_a_separator_within_quotes_does_not_count(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"a,b,c,d";e\n"1,2";3\n')
    assert column_names(path, Reading()) == ["a,b,c,d", "e"]


def test_an_encoding_can_be_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a\né\n".encode("mac_roman"))
    assert read_table(path, ["a"], Reading(encoding="mac_roman"))["a"].texts == ["é"]
    with pytest.raises(UserError, match="cannot be read as text in klingon"):
        read_table(path, ["a"], Reading(encoding="klingon"))
