import csv

import pytest

from dataset_builder.sources import opinionqa
from dataset_builder.sources.opinionqa import OPINIONQA, QUESTIONS_ONLY, WAVES
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

SELECTION = QUESTIONS_ONLY.other_layouts[0][0].path
W26 = "human_resp/American_Trends_Panel_W26"
SWIM = "How often, if ever, do you swim?\nA. Often\nB. Never\nC. Refused"
LAKE = "Where do you swim?\nA. Tom's lake\nB. A café by the sea\nC. Refused"
BELLS = "Do you hear bells?\nA. Yes\nB. No\nC. Refused"


def test_a_respondent_answers_with_letters_in_the_order_of_the_questionnaire(fixture_files, split):
    people, dropped = split(opinionqa.read_people(fixture_files(OPINIONQA)))
    assert list(people) == ["W26/1", "W26/2", "W26/4", "W92/1"]
    assert people["W26/1"].draws == (Draw(SWIM, "B"), Draw(LAKE, "A"), Draw(SWIM, "C"))
    assert people["W26/2"].draws == (Draw(SWIM, "A"),)
    assert people["W26/4"].draws == (Draw(SWIM, "C"), Draw(SWIM, "A"))
    assert people["W92/1"].draws == (Draw(BELLS, "A"),)
    assert dropped == {"question without an answer": 1 + 3 + 1, "answer that is not among the options": 1}


def test_descriptions_tell_nothing_or_seven_in_ten_attributes(fixture_files, split):
    people, _ = split(opinionqa.read_people(fixture_files(OPINIONQA)))
    alone, told = people["W26/1"].descriptions[:2], people["W26/1"].descriptions[2:]
    assert not any("About" in text for text in alone)
    facts = [text.partition(" About this person: ")[2].removesuffix(".").split("; ") for text in told]
    assert [len(known) for known in facts] == [8, 8]  # of 12
    assert facts[0] != facts[1]
    every = {
        "region: South", "age: 65+", "sex: Female", "education: Associate's degree", "citizen of the USA: Yes",
        "marital status: Married", "religion: Buddhist", "attendance at religious services: Once a week",
        "party: Independent", "income: $100,000 or more", "political views: Moderate", "race: Asian",
    }  # fmt: skip
    assert all(set(known) < every for known in facts)
    # Who tells only the sex is described by it; who tells nothing is not described; neither "Refused" nor an id shows.
    assert [text.partition(" About ")[2] for text in people["W26/2"].descriptions[2:]] == [
        "this person: sex: Male."
    ] * 2
    assert people["W26/4"].descriptions == alone
    texts = [text for person in people.values() for text in person.descriptions]
    assert not any("Refused" in text or "1000" in text.replace("100,000", "") for text in texts)
    assert people["W92/1"].descriptions[2:] != told  # other attributes for other people


SOUP = {
    "White": "How proud are you of white soup?",
    "Black": "How proud are you of black soup?",
    "Hispanic": "How proud are you of Hispanic soup?",
    "Asian": "How proud are you of Asian soup?",
    "Other": "How proud are you of your soup?",
}


def with_wordings(folder, split, questions, people):
    """Questions of a made-up key ``SOUP_W92`` and what people of some races answered to them: read in both ways."""
    path = folder / "info.csv"
    rows = [("BELL_W92", "Do you hear bells?", "['Yes', 'No']")]
    write_csv(
        path, ("key", "question", "references"), [*rows, *(("SOUP_W92", text, "['Very', 'Not']") for text in questions)]
    )
    attributes = sorted(opinionqa.ATTRIBUTES)
    races = "['White', 'Black', 'Asian', 'Hispanic', 'Other', 'Mixed']"
    known = [(name, races if name == "RACE" else "['known']") for name in attributes]
    write_csv(folder / "metadata.csv", ("key", "options"), known)
    told = [["Yes", "Not", *(race if name == "RACE" else "Refused" for name in attributes)] for race in people]
    write_csv(folder / "responses.csv", ("BELL_W92", "SOUP_W92", *attributes), told)
    wave = "human_resp/American_Trends_Panel_W92"
    files = {f"{wave}/{name}.csv": folder / f"{name}.csv" for name in ("info", "metadata", "responses")}
    return split(opinionqa.read_people(files)), split(opinionqa.read_questions({f"{wave}/info.csv": path}))


def test_a_respondent_is_asked_the_wording_of_their_own_race(tmp_path, split):
    asked = [*SOUP, "Mixed", "Refused", ""]
    (people, dropped), (waves, _) = with_wordings(tmp_path, split, SOUP.values(), asked)
    soups = {
        race: [draw for draw in person.draws if "soup" in draw.input]
        for race, person in zip(asked, people.values(), strict=True)
    }
    for race, question in SOUP.items():
        assert soups[race] == [Draw(f"{question}\nA. Very\nB. Not", "B")]
    assert soups["Mixed"] == soups["Refused"] == soups[""] == []  # no wording is theirs, or it is not known
    assert dropped == {"question whose wording for the race of the respondent cannot be told": 3}
    assert [draw.output.split("\n")[0] for draw in waves["W92"].draws] == ["Do you hear bells?", *SOUP.values()]


@pytest.mark.parametrize(
    ("questions", "told"),
    [
        ([SOUP["White"], SOUP["White"]], {"White", "Other", "Asian"}),  # the same row twice is one wording
        ([SOUP["White"], SOUP["Other"]], {"White", "Other"}),
        ([SOUP["White"], "Is white soup good?", SOUP["Other"]], {"Other"}),
        (["Is soup good?", SOUP["Other"]], set()),
        (["Do white people like Asian soup?", SOUP["Asian"]], {"Asian"}),
        (["Is whitefish good?", SOUP["White"]], {"White", "Other"}),
    ],
)
def test_a_question_is_dropped_where_its_wording_cannot_be_told(tmp_path, split, questions, told):
    asked = ["White", "Other", "Asian"]
    (people, dropped), _ = with_wordings(tmp_path, split, questions, asked)
    got = {race for race, person in zip(asked, people.values(), strict=True) if len(person.draws) == 2}
    assert got == told
    assert sum(dropped.values()) == 3 - len(told)


def test_at_most_200_respondents_of_a_wave(damaged_files, split):
    files = damaged_files(OPINIONQA)
    path = files["human_resp/American_Trends_Panel_W92/responses.csv"]
    header, line = path.read_text().splitlines()
    path.write_text("\n".join([header, *[line] * 230]) + "\n")
    people, dropped = split(opinionqa.read_people(files))
    rows = [int(name.partition("/")[2]) for name in people if name.startswith("W92/")]
    assert len(rows) == 200
    assert rows == sorted(rows) != list(range(1, 201))  # a sample, not the first ones
    assert dropped["respondent beyond the 200 of a wave"] == 30
    assert list(split(opinionqa.read_people(files))[0]) == list(people)


def test_a_process_of_questions_is_a_wave(fixture_files, split):
    waves, dropped = split(opinionqa.read_questions(fixture_files(QUESTIONS_ONLY)))
    assert waves["W26"].draws == (Draw(None, SWIM), Draw(None, LAKE))
    assert waves["W92"].draws == (Draw(None, BELLS),)
    assert list(waves) == ["W26", "W92"]
    assert dropped == {"question that the wave has already": 1}
    assert all("survey" in text for text in waves["W26"].descriptions)


def test_a_selection_of_questions_is_sorted_into_waves(tmp_path, split):
    path = tmp_path / "info.csv"
    rows = [
        ("B_W92", "Do you hear bells?", "['Yes', 'No', 'Refused']", "Pew_American_Trends_Panel_W92"),
        ("S_W26", "How often, if ever, do you swim?", "['Often', 'Never', 'Refused']", "Pew_American_Trends_Panel_W26"),
    ]
    write_csv(path, ("key", "question", "references", "survey"), rows)
    waves, _ = split(opinionqa.read_questions({SELECTION: path}))
    assert {name: wave.draws for name, wave in waves.items()} == {
        "W26": (Draw(None, SWIM),),
        "W92": (Draw(None, BELLS),),
    }
    write_csv(path, ("key", "question", "references", "survey"), [(*rows[0][:3], "Pew_American_Trends_Panel_W99")])
    with pytest.raises(UserError, match=r"info\.csv', row 1: the survey 'Pew_American_Trends_Panel_W99' is not one"):
        list(opinionqa.read_questions({SELECTION: path}))


def write_csv(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("info", b"LAKE_W26", b"", "row 2: column 'key' is empty"),
        ("info", b"Where do you swim?", b"", "row 2: column 'question' is empty"),
        ("info", b"['Often', 'Never', 'Refused']", b"'Often'", "row 1: 'Often' is not a list of texts"),
        ("info", b"['Often', 'Never', 'Refused']", b"exec('1')", "row 1: \"exec('1')\" is not a Python literal"),
        ("info", b"caf\xc3\xa9 by the sea', 'Refused'", b"caf\xe9', 'Refused'", "is not valid CSV"),
        ("metadata", b"RACE", b"ORIGIN", "row 12: the table ends without the keys ['RACE']"),
        ("metadata", b"\"['Male', 'Female']\"", b"", "row 3: '' is not a Python literal"),
        ("responses", b"LAKE_W26", b"LAKE", "lacks a column it should have"),
        ("responses", b"10002,", b"", "row 2: it has 16 fields where 17 are expected"),
        ("responses", None, b"", "is not valid CSV"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, file, old, new, message):
    files = damaged_files(OPINIONQA)
    path = files[f"{W26}/{file}.csv"]
    content = path.read_bytes()
    assert old is None or old in content
    path.write_bytes(content.replace(old, new, 1) if old else new)
    with pytest.raises(UserError, match=rf"W26/{file}\.csv") as error:
        list(opinionqa.read_people(files))
    assert message in str(error.value)


def test_fifteen_waves_of_three_files_that_stand_alone():
    assert len(WAVES) == 15
    assert len(OPINIONQA.files) == 45
    assert OPINIONQA.divisible
    assert OPINIONQA.redistributable == QUESTIONS_ONLY.redistributable == "no"


def test_real_rows_of_the_selection(real_files, split):
    files = real_files(QUESTIONS_ONLY)
    if list(files) != [SELECTION]:
        pytest.skip("SPECTRUM_SOURCES has the waves themselves")
    with files[SELECTION].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    waves, dropped = split(opinionqa.read_questions(files))
    assert sum(len(wave.draws) for wave in waves.values()) + sum(dropped.values()) == len(rows)
    assert list(waves) == [wave for wave in WAVES if any(row["survey"].endswith(wave) for row in rows)]
    for row in rows:
        text = next(d.output for d in waves[row["survey"][-3:]].draws if d.output.startswith(row["question"].strip()))
        assert text.rpartition("\n")[2].partition(". ")[2] == "Refused"
