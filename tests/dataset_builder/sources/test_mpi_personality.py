import pytest

from dataset_builder.sources.mpi_personality import MPI_PERSONALITY, TASKS, read_statements
from dataset_builder.task_spec import Target
from spectrum_suite.errors import UserError

ITEMS, ANSWERS = "data/mpi_questions.csv", "data/mpi_human_resp.csv"
[TASK] = TASKS
OPTIONS = ("1", "2", "3", "4", "5")
SPELLED = (
    "1: Very inaccurate\n2: Moderately inaccurate\n3: Neither accurate nor inaccurate\n4: Moderately accurate\n"
    "5: Very accurate"
)


def test_zero_and_empty_are_no_answers(fixture_files, split):
    items, dropped = split(TASK.read(fixture_files(MPI_PERSONALITY)))
    assert list(items) == ["I1", "I2"]
    # Answers 1, 5, 5, 0, 3 and none.
    assert items["I1"].target == Target(f"You hum while cooking.\n{SPELLED}", OPTIONS, (0.25, 0, 0.25, 0, 0.5), 4)
    assert dropped == {"answer missing: 0 or empty": 2 + 1 + 6, "statement that nobody answered": 1}
    assert TASK.options == OPTIONS
    assert "0" not in TASK.output_label


def test_answers_to_reversed_statements_are_turned_back(fixture_files, split):
    items, _ = split(TASK.read(fixture_files(MPI_PERSONALITY)))
    # Stored as 5, 5, 4, 1, 0, 2: five people, most of whom find the statement inaccurate.
    text = f"You leave cups in the café’s sink.\n{SPELLED}"
    assert items["I2"].target == Target(text, OPTIONS, (2 / 5, 1 / 5, 0, 1 / 5, 1 / 5), 5)


def test_the_description_spells_the_ends_of_the_scale_out(fixture_files, split):
    items, _ = split(TASK.read(fixture_files(MPI_PERSONALITY)))
    for item in items.values():
        [description] = item.descriptions
        assert "from 1 (very inaccurate" in description
        assert "to 5 (very accurate" in description
        assert "0" not in description


def test_values_that_pandas_wrote_as_floats_are_read(damaged_files, split):
    files = damaged_files(MPI_PERSONALITY)
    files[ANSWERS].write_text("I1,I2,I3\n5.0,4.0,1.0\n1.0,,0.0\n")
    items, _ = split(TASK.read(files))
    assert {name: item.target.probabilities for name, item in items.items()} == {
        "I1": (0.5, 0, 0, 0, 0.5),
        "I2": (0, 1, 0, 0, 0),
        "I3": (1, 0, 0, 0, 0),
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (ITEMS, "label_ocean\tkey", "key\tlabel_ocean", "row 1: the header is"),
        (ITEMS, "C\t-1", "C\t2", "row 3: there is no '2'"),
        (ITEMS, "C\t-1", "C", "row 3: not enough values"),
        (ITEMS, "Leave cups in the café’s sink", " ", "row 3: the statement is empty"),
        (ITEMS, "café", "caf\udce9", "is not UTF-8"),
        (ANSWERS, "I1,I2,I3", "I1,I2,X3", "lacks a column"),
        (ANSWERS, "3,1,30,Nowhere,5", "3,1,30,Nowhere,6", "row 3: column 'I1' holds 6.0, not 0 to 5"),
        (ANSWERS, "3,1,30,Nowhere,5", "3,1,30,Nowhere,2.5", "row 3: column 'I1' holds 2.5, not 0 to 5"),
        (ANSWERS, "3,1,30,Nowhere,5", "3,1,30,Nowhere,five", "row 3: column 'I1' holds 'five'"),
        (ANSWERS, "3,1,30,Nowhere,5", "3,1,30,Nowhere", "row 3: it has 6 fields"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, file, old, new, message):
    files = damaged_files(MPI_PERSONALITY)
    text = files[file].read_text(encoding="utf-8")
    assert old in text
    files[file].write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as error:
        list(TASK.read(files))
    assert file in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize("file", [ITEMS, ANSWERS])
def test_an_empty_file_is_named(damaged_files, file):
    files = damaged_files(MPI_PERSONALITY)
    files[file].write_text("")
    with pytest.raises(UserError, match=file):
        list(TASK.read(files))


def test_real_statements_with_made_up_answers(real_files, split, tmp_path):
    files = real_files(MPI_PERSONALITY)
    statements = read_statements(files[ITEMS])
    assert len(statements) == 120
    assert sum(statement.reversed for statement in statements) == 55  # 17 A, 13 C, 6 E, 7 N, 12 O
    # Person p answers statement n with (p + n) mod 6, as stored: 60 people, each value ten times.
    rows = [",".join(str((person + number) % 6) for number in range(1, 121)) for person in range(60)]
    path = tmp_path / "answers.csv"
    path.write_text("\n".join([",".join(f"I{number}" for number in range(1, 121)), *rows[:59]]))
    items, dropped = split(TASK.read({ITEMS: files[ITEMS], ANSWERS: path}))
    assert list(items) == [f"I{number}" for number in range(1, 121)]
    assert all(item.target.input.startswith("You ") for item in items.values())
    assert items["I1"].target.input.startswith("You worry about things.\n1: ")
    assert items["I2"].target.input.startswith("You make friends easily.\n")
    # The 60th person, number 59, is left out: they would have stored (59 + n) mod 6.
    for number, (item, statement) in enumerate(zip(items.values(), statements, strict=True), start=1):
        counts = {value: 10 - ((59 + number) % 6 == value) for value in range(6)}
        said = [counts[6 - value if statement.reversed else value] for value in range(1, 6)]
        assert item.target.probabilities == pytest.approx([count / sum(said) for count in said])
        assert item.target.n_responses == sum(said)
    assert dropped == {"answer missing: 0 or empty": 120 * 10 - 20}
