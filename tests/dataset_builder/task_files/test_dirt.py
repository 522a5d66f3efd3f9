"""Tables as people have them: what is wrong with each is mended and said, or told with its row and column."""

import datetime as dt

import polars as pl
import pytest

from dataset_builder.task_files.answers import NO_ANSWER
from dataset_builder.task_files.numbers import numbers
from dataset_builder.task_files.personal_data import is_phone
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError
from tests.dataset_builder.task_files.tables import ANSWERS, PER_ANSWER, PER_QUESTION, read_all, written

ICL, SHARES = PER_ANSWER.format(kind="icl"), PER_ANSWER.format(kind="distribution")
UMLAUT = ANSWERS.replace("Chile", "Österreich")


def clean(tmp_path, task=ICL):
    return read_all(written(tmp_path, task, ANSWERS))


@pytest.mark.parametrize(
    ("table", "encoding"),
    [
        pytest.param(UMLAUT.replace("\n", "\r\n"), "utf-8-sig", id="byte order mark and Windows line ends"),
        pytest.param(UMLAUT, "cp1252", id="Windows-1252"),
        pytest.param(UMLAUT, "utf-16", id="UTF-16"),
        pytest.param(UMLAUT, "utf-16-le", id="UTF-16 without a mark"),
        pytest.param("sep=;\n" + UMLAUT.replace(",", ";"), "utf-8", id="separator that Excel is told"),
        pytest.param(UMLAUT.replace("who,age", " who , age "), "utf-8", id="blanks in the header"),
        pytest.param(UMLAUT.replace(",", ";"), "utf-8", id="semicolons"),
        pytest.param(UMLAUT.replace(",", "\t"), "utf-8", id="tabs"),
        pytest.param(UMLAUT.replace("\n", "\n\n"), "utf-8", id="blank lines"),
        pytest.param("".join(f",{line}\n" for line in UMLAUT.splitlines()), "utf-8", id="empty column"),
    ],
)
def test_text_is_read_however_it_was_saved(tmp_path, table, encoding):
    examples, noted = read_all(written(tmp_path, ICL, table, encoding=encoding))
    expected, _ = clean(tmp_path)
    assert noted == set()
    assert [example.draws for example in examples] == [example.draws for example in expected]
    assert examples[0].groups == (("age", "18-29"), ("country", "Österreich"))


def test_a_row_with_too_many_fields_is_left_out_and_later_rows_keep_their_numbers(tmp_path):
    lines = ANSWERS.splitlines()
    table = "\n".join([*lines[:2], "ann,18-29,Chile,Eggs?,Often,what", *lines[2:], "dee,,,Fruit?,Daily"]) + "\n"
    examples, noted = read_all(written(tmp_path, ICL, table))
    assert [example.draws for example in examples] == [example.draws for example in clean(tmp_path)[0]]
    assert noted == {
        ("row with 6 fields where the header has 5", 1, "row 2", False),
        ("answer that is not among the options", 1, "row 8, column 'answer': 'Daily'", False),
    }


def test_a_file_that_is_cut_off_inside_a_quoted_field_is_refused(tmp_path):
    with pytest.raises(UserError, match="ends inside a quoted field"):
        read_all(written(tmp_path, ICL, ANSWERS + '"dee,18-29'))


def test_columns_that_are_missing_or_there_twice_are_told_all_at_once(tmp_path):
    table = ANSWERS.replace("who,age,country,question,answer", "who,age,who,question,answers")
    with pytest.raises(UserError) as error:
        read_all(written(tmp_path, ICL, table))
    line = str(error.value)
    assert "has 2 columns 'who'" in line
    assert "no column 'answer', did you mean 'answers'?" in line
    assert "no column 'country'" in line


@pytest.mark.parametrize("table", ["", "who,age,country,question,answer\n"], ids=["empty", "header alone"])
def test_a_table_without_rows_is_refused(tmp_path, table):
    with pytest.raises(UserError, match=r"holds no row|has no column"):
        read_all(written(tmp_path, ICL, table))


def test_answers_that_differ_in_blanks_or_capitals_are_one_answer(tmp_path):
    table = ANSWERS.replace("Fruit?,Often", "Fruit?,often").replace("Meat?,Never", "Meat?, NEVER ")
    examples, noted = read_all(written(tmp_path, ICL, table))
    assert [example.draws for example in examples] == [example.draws for example in clean(tmp_path)[0]]
    ((what, rows, first, kept),) = noted
    assert ("spelled otherwise" in what, rows, kept) == (True, 3, True)
    assert first == "row 1, column 'answer': 'often'"


def test_of_answers_that_are_found_the_usual_spelling_stands(tmp_path):
    task = SHARES.replace("options: [Never, Sometimes, Often]", "options: found")
    table = ANSWERS + "dee,,,Fruit?,OFTEN\n"
    (fruit, _), noted = read_all(written(tmp_path, task, table))
    assert fruit.target.options == ("Never", "Often")
    assert fruit.target.probabilities == (0.25, 0.75)
    assert {(rows, first) for _, rows, first, _ in noted} == {(1, "row 7, column 'answer': 'OFTEN'")}


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("Café", "Cafe\u0301"), ("Don't know", "Don’t know"), ("18-29", "18–29"), ("R&D", "R&amp;D"),
        ("Very often", "Very\u00a0\u200boften"), ("Often", "Of\u00adten"), ("1", "1,0"), ("No", "\x00No"),
    ],
)  # fmt: skip
def test_answers_that_look_the_same_are_one_answer(tmp_path, usual, other):
    task = SHARES.replace("options: [Never, Sometimes, Often]", "options: found")
    table = ANSWERS.replace("Often", usual).replace("bob,,Ghana,Fruit?,Never\n", f'bob,,Ghana,Fruit?,"{other}"\n')
    (fruit, _), noted = read_all(written(tmp_path, task, table + "dee,,,Fruit?,Never\n"))
    assert dict(zip(fruit.target.options, fruit.target.probabilities, strict=True)) == {usual: 0.75, "Never": 0.25}
    assert [(what, rows) for what, rows, *_ in noted] == [("answer that is spelled otherwise than its option", 1)]


def test_groups_and_questions_that_are_spelled_in_two_ways_are_one(tmp_path):
    table = ANSWERS.replace("bob,,Ghana,Meat?", "bob,,ghana ,MEAT?").replace("18-29,Chile,Fruit?", "18–29,Chile,Fruit?")
    examples, noted = read_all(written(tmp_path, SHARES + "by: [age, country]\n", table))
    assert [example.process for example in examples if "country" in example.process] == [
        "00000/country=Ghana", "00001/country=Ghana",
    ]  # fmt: skip
    assert [example.target.n_responses for example in examples if not example.groups] == [3, 3]
    assert noted >= {
        ("text that is spelled otherwise than in most rows", 3, "row 4, column 'question': 'MEAT?'", True),
    }


@pytest.mark.parametrize("row", ["Total,,,,\n", "Total:,,,Fruit?,Often\n", "Sum,,,,6\nGrand Total,,,,6\n"])
def test_rows_of_totals_below_the_data_are_left_out(tmp_path, row):
    examples, noted = read_all(written(tmp_path, SHARES, ANSWERS + row))
    assert [example.target.n_responses for example in examples] == [3, 3]
    assert {(what, rows) for what, rows, *_ in noted} == {("row of totals below the data", row.count("\n"))}


def test_a_person_who_is_called_like_a_total_within_the_data_is_none(tmp_path):
    examples, noted = read_all(written(tmp_path, SHARES, ANSWERS.replace("bob,", "Sum,")))
    assert [example.target.n_responses for example in examples] == [3, 3]
    assert noted == set()


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ("1 2 3 4 5 -99 99", 2), ("1 2 3 -1", 1), ("Never Often -9", 1), ("20 45 90 999", 1),
        ("-1 0 1", 0), ("-3 -2 0 2 3", 0), ("18 77 88 99", 0), ("0 50 99 100", 0), ("1 2 3 8 9", 0), ("-2 Often 3", 1),
    ],
)  # fmt: skip
def test_answers_that_are_found_and_look_like_codes_for_none_are_told(tmp_path, answers, codes):
    task = SHARES.replace("options: [Never, Sometimes, Often]", "options: found")
    rows = [f"p{n},,,Fruit?,{answer}" for n, answer in enumerate(answers.split())]
    _, noted = read_all(written(tmp_path, task, "\n".join([ANSWERS.splitlines()[0], *rows]) + "\n"))
    found = {rows for what, rows, *_ in noted if what.startswith("answer that looks like a code for none")}
    assert found == ({codes} if codes else set())


def test_codes_that_mean_no_answer_are_added_to_what_is_missing(tmp_path):
    task = SHARES.replace("options: [Never, Sometimes, Often]", "options: found") + "also_missing: [-99, Refused]\n"
    table = ANSWERS + "dee,,,Fruit?,-99\neve,,,Fruit?,Refused\nfay,,,Fruit?,N/A\n"
    (fruit, _), noted = read_all(written(tmp_path, task, table))
    assert fruit.target.options == ("Never", "Often")
    assert noted == {(NO_ANSWER, 3, "row 7, column 'answer'", False)}


@pytest.mark.parametrize("sign", ["-", ".", "NA", "#NULL!"])
def test_a_sign_for_nothing_is_an_answer_where_it_is_listed(tmp_path, sign):
    table = ANSWERS.replace("Never", sign)
    (listed, *_), noted = read_all(written(tmp_path, SHARES.replace("Never,", f'"{sign}",'), table))
    assert (listed.target.n_responses, noted) == (3, set())
    found = SHARES.replace("options: [Never, Sometimes, Often]", "options: found")
    (fruit, *_), noted = read_all(written(tmp_path, found, table + "dee,,,Fruit?,Sometimes\n"))
    assert fruit.target.options == ("Often", "Sometimes")
    assert (NO_ANSWER, 2) in {(what, rows) for what, rows, *_ in noted}


def test_a_quote_that_closes_rows_later_is_told(tmp_path):
    task = SHARES.replace("options: [Never, Sometimes, Often]", "options: found")
    table = ANSWERS + 'dee,,,Fruit?,"Often\neve,,,Fruit?,Often\nfay,,,Fruit?,Never"\n'
    _, noted = read_all(written(tmp_path, task, table))
    ((what, rows, first, _),) = noted
    assert (what, rows) == ("answer with a line break: is a quote in the file not closed?", 1)
    assert first.startswith("row 7, column 'answer': 'Often\\neve")


def test_truth_values_are_yes_and_no_where_those_are_the_options(tmp_path):
    for options in ("[yes, no]", "{true: Yes, false: No}"):
        task = SHARES.replace("[Never, Sometimes, Often]", options)
        (fruit, _), noted = read_all(written(tmp_path, task, ANSWERS.replace("Often", "true").replace("Never", "False")
                                             .replace("Sometimes", "Yes")))  # fmt: skip
        assert dict(zip(fruit.target.options, fruit.target.probabilities, strict=True)) == pytest.approx(
            {"Yes": 2 / 3, "No": 1 / 3}
        )
        assert {rows for _, rows, *_ in noted} == {2}  # False is written as false


def test_options_that_differ_in_capitals_alone_cannot_be_listed(tmp_path):
    with pytest.raises(UserError, match="'Often' and 'often', which differ in blanks, capitals or marks alone"):
        read_all(written(tmp_path, ICL.replace("Sometimes, Often]", "Sometimes, Often, often]"), ANSWERS))


@pytest.mark.parametrize("nothing", ["", "NA", "NaN", "n/a-by-me", "   "])
def test_a_cell_without_an_answer_is_counted(tmp_path, nothing):
    task = ICL + "missing: [NA, NaN, n/a-by-me]\n"
    examples, noted = read_all(written(tmp_path, task, ANSWERS + f"cy,50+,Ghana,Eggs?,{nothing}\n"))
    assert len(examples[2].draws) == 2
    assert noted == {(NO_ANSWER, 1, "row 7, column 'answer'", False)}


def test_a_person_with_one_answer_is_left_out(tmp_path):
    examples, noted = read_all(written(tmp_path, ICL, ANSWERS + "dee,,,Fruit?,Often\n"))
    assert [example.process for example in examples] == ["ann", "bob", "cy"]
    assert noted == {("answer of a person with fewer than 2 answers", 1, "row 7", False)}


@pytest.mark.parametrize("weight", ["-1", "heavy", "inf", "NaN", "1_000", ""])
def test_a_weight_that_is_no_number_from_zero_leaves_its_row_out(tmp_path, weight):
    lines = ANSWERS.splitlines()
    table = "\n".join([f"w,{lines[0]}", *(f"1,{line}" for line in lines[1:]), f"{weight},dee,,,Fruit?,Never"]) + "\n"
    (fruit, _), noted = read_all(written(tmp_path, SHARES + "weight: w\n", table))
    assert fruit.target.n_responses == 3
    assert {(what, rows) for what, rows, *_ in noted} == {("weight that is not a number of at least 0", 1)}


def test_an_answer_that_is_no_option_is_left_out(tmp_path):
    table = ANSWERS.replace("bob,,Ghana,Meat?,Sometimes", "bob,,Ghana,Meat?,Sometime")
    _, noted = read_all(written(tmp_path, SHARES, table))
    assert noted == {("answer that is not among the options", 1, "row 4, column 'answer': 'Sometime'", False)}


def test_of_several_answers_to_the_same_question_the_first_stands(tmp_path):
    (fruit, _), noted = read_all(written(tmp_path, SHARES, ANSWERS + "ann,18-29,Chile,Fruit?,Never\n"))
    assert fruit.target.n_responses == 3
    assert fruit.target.probabilities[2] == pytest.approx(2 / 3)
    assert noted == {
        ("further answer of a person to the same question", 1, "row 7, column 'question': 'Fruit?'", False)
    }


def test_rows_without_a_person_or_a_question_are_left_out(tmp_path):
    _, noted = read_all(written(tmp_path, SHARES, ANSWERS + ",,,Fruit?,Never\ndee,,,,Never\n"))
    assert noted == {
        ("row without a person", 1, "row 7", False), ("row without a question", 1, "row 8, column 'question'", False),
    }  # fmt: skip


def test_codes_are_the_same_whether_whole_numbers_or_decimals(tmp_path):
    task = ICL.replace("options: [Never, Sometimes, Often]", "options: {1: Never, 2: Sometimes, 3: Often}")
    codes = ANSWERS.replace("Often", "3.0").replace("Never", "1").replace("Sometimes", "2.00")
    examples, _ = read_all(written(tmp_path, task, codes))
    assert [example.draws for example in examples] == [example.draws for example in clean(tmp_path)[0]]


def test_a_column_of_mixed_types_is_read_as_text(tmp_path):
    task = ICL.replace("food.csv", "food.jsonl").replace("options: [Never, Sometimes, Often]", "options: found")
    rows = '{"who": 1, "age": 20, "country": null, "question": "Fruit?", "answer": 1}\n' \
           '{"who": "1", "age": 20.0, "country": "Chile", "question": "Meat?", "answer": "two"}\n' \
           'no JSON\n' \
           '{"who": 1.0, "age": "20", "question": "Eggs?", "answer": true}\n'  # fmt: skip
    (example,), noted = read_all(written(tmp_path, task, rows, name="food.jsonl"))
    assert [draw.output for draw in example.draws] == ["1", "two", "true"]
    assert example.groups == (("age", "20"), ("country", "Chile"))
    assert noted == {("line that is not a JSON object", 1, "row 3", False)}


def test_dates_are_options_as_iso_writes_them(tmp_path):
    days = [dt.datetime(2024, 3, 1), dt.datetime(2024, 3, 2), dt.datetime(2024, 3, 1, 12, 30), None]
    frame = pl.DataFrame({"who": ["a"] * 4, "question": ["1?", "2?", "3?", "4?"], "answer": days, "age": [1, 1, 1, 1],
                          "country": [None] * 4}, strict=False)  # fmt: skip
    frame.write_parquet(tmp_path / "food.parquet")
    task = ICL.replace("food.csv", "food.parquet").replace("options: [Never, Sometimes, Often]", "options: found")
    (tmp_path / "food.yaml").write_text(task)
    (example,), _ = read_all(tmp_path / "food.yaml")
    assert [draw.output for draw in example.draws] == ["2024-03-01", "2024-03-02", "2024-03-01 12:30:00"]


def test_control_characters_and_mojibake_are_repaired(tmp_path):
    table = ANSWERS.replace("Fruit?", "Fr\x00u\x07it?").replace("Meat?", "CafÃ©?")
    (ann, *_), _ = read_all(written(tmp_path, ICL, table))
    assert ann.draws == (Draw("Fruit?", "Often"), Draw("Café?", "Never"))


def test_a_huge_cell_is_left_out(tmp_path):
    huge = "x" * 20_001
    task = ICL.replace("options: [Never, Sometimes, Often]", "options: open")
    examples, noted = read_all(written(tmp_path, task, ANSWERS + f"ann,18-29,Chile,Eggs?,{huge}\n"))
    assert len(examples[0].draws) == 2
    ((what, rows, first, _),) = noted
    assert (what, rows) == ("text of more than 20,000 characters", 1)
    assert len(first) < 150


def test_a_person_who_is_described_in_two_ways_is_told(tmp_path):
    table = ANSWERS.replace("ann,18-29,Chile,Meat?", "ann,30-49,Chile,Meat?")
    (ann, *_), noted = read_all(written(tmp_path, ICL, table))
    assert ann.groups[0] == ("age", "18-29")
    assert {(rows, first) for _, rows, first, _ in noted} == {(1, "row 1, column 'age'")}


# Shares

MIXED = "question,Never,Sometimes,Often\n"


@pytest.mark.parametrize(
    ("rows", "noted"),
    [
        ("Fruit?,25%,25 %,50%\nMeat?,100%,0%,0%\n", "question whose percentages were divided by their sum"),
        ("Fruit?,25,25,50\nMeat?,100,0,0\n", "question whose percentages were divided by their sum"),
        ("Fruit?,11,11,22\nMeat?,5,0,0\n", "question whose counts were divided by their sum"),
        ("Fruit?;0,25;0,25;0,5\nMeat?;1;0;0\n", None),
        ('Fruit?,"0,25","0,25","0,5"\nMeat?,1,0,0\n', None),
        ("Fruit?,.25,.25,.5\nMeat?,1.00,0.00,0.00\n", None),
        ('Fruit?,"1,000","1,000","2,000"\nMeat?,"4,000.0",0,0\n', "question whose counts were divided by their sum"),
    ],
    ids=["percent signs", "percentages", "counts", "decimal commas", "quoted commas", "points", "thousands"],
)
def test_shares_are_read_whatever_they_are_written_in(tmp_path, rows, noted):
    header = MIXED.replace(",", ";") if ";" in rows else MIXED
    examples, found = read_all(written(tmp_path, PER_QUESTION, header + rows))
    assert [example.target.probabilities for example in examples] == [(0.25, 0.25, 0.5), (1, 0, 0)]
    assert {what for what, *_ in found} == ({noted} if noted else set())


def test_counts_tell_how_many_answered(tmp_path):
    examples, _ = read_all(written(tmp_path, PER_QUESTION, MIXED + "Fruit?,11,11,22\nMeat?,100,0,0\n"))
    assert [example.target.n_responses for example in examples] == [44, 100]


def test_rounded_shares_are_made_to_sum_to_one(tmp_path):
    examples, _ = read_all(written(tmp_path, PER_QUESTION, MIXED + "Fruit?,0.33,0.33,0.33\n"))
    assert examples[0].target.probabilities == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_shares_that_do_not_sum_to_one_leave_the_question_out(tmp_path):
    table = MIXED + "Fruit?,0.2,0.2,0.2\nMeat?,1,0,0\nEggs?,0.5,0.5,0\nTea?,nan,1,0\nRice?,-0.5,1,0.5\nNuts?,0,0,0\n"
    examples, noted = read_all(written(tmp_path, PER_QUESTION, table))
    assert [example.target.input for example in examples] == ["Meat?", "Eggs?", "Tea?"]
    assert noted == {
        ("question whose shares do not sum to 1", 1, "row 1, column 'question': 'Fruit?'", False),
        ("share below zero", 1, "row 5, column 'Never': '-0.5'", False),
        ("question whose shares sum to zero", 1, "row 6", False),
    }


def test_an_option_without_a_share_was_not_offered(tmp_path):
    examples, _ = read_all(written(tmp_path, PER_QUESTION, MIXED + "Fruit?,0.5,,0.5\nMeat?,1,0,0\n"))
    assert examples[0].target.options == ("Never", "Often")


def test_a_share_that_is_no_number_is_told(tmp_path):
    _, noted = read_all(written(tmp_path, PER_QUESTION, MIXED + "Fruit?,few,0.5,0.5\nMeat?,1,0,0\n"))
    assert noted == {("share that is not a number", 1, "row 1, column 'Never': 'few'", False)}


def test_numbers_that_may_be_anything_are_refused(tmp_path):
    table = MIXED + "Fruit?,0.5,0.5,0\nMeat?,50,50,0\nEggs?,1.5,2.25,1\nTea?,3.5,1,1\n"
    with pytest.raises(UserError, match="1 of 4 questions sum to 1, 1 to 100; say which in 'shares'"):
        read_all(written(tmp_path, PER_QUESTION, table))


def test_a_comma_that_may_separate_thousands_or_decimals_is_no_number():
    assert str(numbers(["1,234", "5"]).tolist()) == "[nan, 5.0]"
    assert numbers(["1,234", "0,5"]).tolist() == [1.234, 0.5]
    assert numbers(["1,234", "1,234.5"]).tolist() == [1234, 1234.5]
    assert numbers(["1 234", "1\u202f234,5"]).tolist() == [1234, 1234.5]
    assert numbers(["1.234", "1.234,5", "1.000.000", "0,5"]).tolist() == [1234, 1234.5, 1_000_000, 0.5]
    assert str(numbers(["1.234", "0,5", "12.5"]).tolist()) == "[nan, 0.5, 12.5]"
    assert numbers(["1.234", "12.5"]).tolist() == [1.234, 12.5]


@pytest.mark.parametrize("last", ["Total,1.2,0.3,1.5", "Sum:,40,10,50", "TOTAL,0.4,0.1,0.5"])
def test_a_row_of_totals_is_no_question(tmp_path, last):
    table = MIXED + f"Fruit?,0.25,0.25,0.5\nMeat?,1,0,0\n{last}\n"
    examples, noted = read_all(written(tmp_path, PER_QUESTION, table))
    assert [example.target.input for example in examples] == ["Fruit?", "Meat?"]
    assert [(what, rows) for what, rows, *_ in noted] == [("row of totals below the data", 1)]


# Data on people


def test_what_looks_like_data_on_people_is_said(tmp_path):
    task = ICL.replace("about: [age, country]", "about: [age, country, contact, name]")
    names = {"ann": "Ann Miller", "bob": "Bob van Dyk", "cy": "Cy Ong"}
    phones = {"ann": "ann@mail.example.org", "bob": "+43 660 1234567", "cy": "no"}
    lines = ANSWERS.splitlines()
    rows = [f"{line},{phones[line.split(',')[0]]},{names[line.split(',')[0]]}" for line in lines[1:]]
    _, noted = read_all(written(tmp_path, task, "\n".join([f"{lines[0]},contact,name", *rows]) + "\n"))
    assert noted == {
        ("cell that looks like an e-mail address", 2, "row 1, column 'contact'", True),
        ("cell that looks like a telephone number", 2, "row 2, column 'contact'", True),
        ("cell that looks like a person's name", 6, "row 1, column 'name'", True),
    }


@pytest.mark.parametrize(("text", "is_one"), [("02/01/2024", False), ("1-12-2024", False), ("020 7946 0018", True)])
def test_a_date_is_no_telephone_number(text, is_one):
    assert is_phone(text) is is_one


def test_people_who_are_told_apart_by_addresses_are_numbered(tmp_path):
    table = ANSWERS.replace("ann,", "ann@mail.example.org,")
    examples, noted = read_all(written(tmp_path, ICL, table))
    assert [example.process for example in examples] == ["person-000000", "person-000001", "person-000002"]
    assert {what for what, *_ in noted} == {"cell that looks like an e-mail address"}
