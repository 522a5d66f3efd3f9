"""Tables of every kind of file are read as the same texts."""

import zipfile

import polars as pl
import pyreadstat
import pytest

from dataset_builder.task_files.read_table import Reading, column_names, read_table
from spectrum_suite.errors import UserError

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


TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_excel(path, sheets):
    """A workbook as ECMA-376 has it: sheet -> rows of texts, numbers and empty cells."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType='
        f'"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{KIND}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELATIONS}">'
        + "".join(
            f'<Relationship Id="s{n}" Type="{OFFICE}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
    }
    for number, rows in enumerate(sheets.values(), 1):
        lines = "".join(
            f'<row r="{r}">' + "".join(cell(value, f"{'ABCDEFG'[c]}{r}") for c, value in enumerate(row)) + "</row>"
            for r, row in enumerate(rows, 1)
        )
        parts[f"xl/worksheets/s{number}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')


def cell(value, place):
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


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
    assert table.options["q2"] == ("Never", "Often")


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
        ("t.parquet", b"PAR1 is not all", "does not read as Parquet"),
        ("t.sav", b"$FL2 and no more", "does not read as an SPSS file"),
        ("t.json", b'{"a": 1}', "is not a list of objects"),
        ("t.jsonl", b"\xff\xfe\x00", "does not read as JSON|holds no row|has no column"),
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
    with pytest.raises(UserError, match="does not read as text in klingon"):
        read_table(path, ["a"], Reading(encoding="klingon"))
