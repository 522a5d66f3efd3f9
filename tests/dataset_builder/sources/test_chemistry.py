import csv
import json

import pytest

from dataset_builder.sources.chemistry import CHEMISTRY_ESOL, CHEMISTRY_OCM, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

TASK = {task.name: task for task in TASKS}
ESOL, OCM = TASK["chemistry_esol"], TASK["chemistry_oxidative"]


def test_compounds_are_given_in_the_notations_that_are_known(fixture_files, split):
    processes, dropped = split(ESOL.read(fixture_files(CHEMISTRY_ESOL)))
    assert {name: process.draws for name, process in processes.items()} == {
        "esol": (
            Draw(
                '{"SMILES": "CXO", "SELFIES": "[C][X][O]", "InChI": "InChI=1S/CXO/c1-2", "IUPAC": "examplol"}', "-1.5"
            ),
            Draw('{"SMILES": "CXX", "SELFIES": "[C][X][X]", "InChI": "InChI=1S/CX2/c1-2-3"}', "-0.25"),
            Draw(
                '{"SMILES": "COX", "SELFIES": "[C][O][X]", "InChI": "InChI=1S/COX/c1-2-3", "IUPAC": "1,2-zoëin"}', "2.0"
            ),
        )
    }
    assert dropped == {"input or measured value is empty": 1}
    [description] = processes["esol"].descriptions
    assert "measured solubility" in description


def test_a_compound_that_was_measured_twice_is_drawn_twice(damaged_files, split):
    files = damaged_files(CHEMISTRY_ESOL)
    [path] = [file.path for file in CHEMISTRY_ESOL.files]
    header, first, *others = files[path].read_bytes().splitlines(keepends=True)
    files[path].write_bytes(header + first + b"".join(others) + first.replace(b",-1.5,", b",-1.75,"))
    processes, _ = split(ESOL.read(files))
    first, *_, last = processes["esol"].draws
    assert (first.input, first.output, last.output) == (last.input, "-1.5", "-1.75")


def test_experiments_are_told_in_prose(fixture_files, split):
    processes, dropped = split(OCM.read(fixture_files(CHEMISTRY_OCM)))
    assert {name: process.draws for name, process in processes.items()} == {
        "ocm": (
            Draw("The made-up catalyst Xy/SiO2 was dried at 60 °C, and the reaction ran at 800 °C.", "4.25"),
            Draw("The made-up catalyst Zz was used, with a total flow of 10 mL/min (Ar: 7 mL/min).", "7.0"),
        )
    }
    assert dropped == {"input or measured value is empty": 2}
    [description] = processes["ocm"].descriptions
    assert "yield of C2" in description


def test_the_tasks_are_held_out_and_partitioned():
    assert {(task.split, task.options) for task in TASKS} == {("test", None)}
    assert (ESOL.sequences, OCM.sequences) == (Sequences("partition", 15), Sequences("partition", 10))
    assert (ESOL.source.name, OCM.source.name) == ("chemistry_esol", "chemistry_ocm")
    assert (ESOL.source.folder, OCM.source.folder) == ("chemistry", "chemistry")


@pytest.mark.parametrize(
    ("task", "old", "new", "message"),
    [
        (ESOL, b",InChI,", b",InCHI,", "lacks a column it should have"),
        (ESOL, b",-1.5,", b",low,", "row 1: column 'measured log(solubility:mol/L)' holds 'low'"),
        (ESOL, b",-0.25,", b",nan,", "row 2: column 'measured log(solubility:mol/L)' holds nan"),
        (ESOL, b",-1.4,", b",", "row 1: it has 6 fields where 7 are expected"),
        (ESOL, b"zo\xc3\xabin", b"zo\xebin", "is not valid CSV"),
        (OCM, b",prompt", b",text", "lacks a column it should have"),
        (OCM, b",4.25,", b",much,", "row 1: column 'C2_yield' holds 'much'"),
        (OCM, b",7,", b",inf,", "row 2: column 'C2_yield' holds inf"),
        (OCM, b"850,10,", b"850,", "row 2: it has 16 fields where 17 are expected"),
        (OCM, b"60 \xc2\xb0C", b"60 \xb0C", "is not valid CSV"),
    ],
)
def test_a_damaged_table_is_named_with_its_row(damaged_files, task, old, new, message):
    files = damaged_files(task.source)
    [path] = files.values()
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=path.name) as error:
        list(task.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("task", TASKS)
def test_a_table_without_rows_is_named(damaged_files, task):
    files = damaged_files(task.source)
    [path] = files.values()
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="holds no row"):
        list(task.read(files))


@pytest.mark.parametrize(("task", "counts"), [(ESOL, {500, 927}), (OCM, {300, 1016})])
def test_real_rows(real_files, split, task, counts):
    files = real_files(task.source)
    [path] = files.values()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) in counts  # the sample, the whole file
    processes, dropped = split(task.read(files))
    assert not dropped
    [process] = processes.values()
    for draw, row in zip(process.draws, rows, strict=True):
        given = json.loads(draw.input) if len(task.inputs) > 1 else {task.inputs[0]: draw.input}
        assert given == {name: row[name].strip() for name in task.inputs if row[name].strip()}
        assert draw.output == row[task.outputs[0]]
