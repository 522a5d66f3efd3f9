import json

import polars as pl
import pytest

from dataset_builder.sources import habermas
from dataset_builder.sources.habermas import HABERMAS, LABELS, OPINIONS, RATINGS
from dataset_builder.task_spec import Draw, Target
from spectrum_suite.errors import UserError

QUESTION, PEOPLE, CATEGORICAL, TARGETS = (task.read for task in habermas.TASKS)
BANK = habermas.TASKS[0].source.other_layouts[0][0].path
BELLS = ("S1", "Should bells be rung?", "Bells should be rung.", "Bells should not be rung.")
CAFE = ("S2", "Should every café close at six?", "Every café should close at six.", "No café should close at six.")
LAST = ("S3", "Should rain be free?", "Rain should be free.", "Rain should cost money.")
HUMAN = "HUMAN_CITIZEN"

# Person, participant, question, agreement, provenance.
ROWS = [
    ("w1", "p1", BELLS, ["STRONGLY_AGREE"], HUMAN),
    ("w2", "p2", BELLS, ["STRONGLY_AGREE"], HUMAN),
    ("w1", "p1", BELLS, ["DISAGREE"], HUMAN),  # rated it before
    ("w3", "p3", BELLS, ["AGREE"], HUMAN),
    ("w4", "p4", BELLS, ["NEUTRAL"], HUMAN),
    ("w5", "p5", BELLS, ["STRONGLY_DISAGREE"], HUMAN),
    ("w6", "p6", BELLS, ["SOMEWHAT_DISAGREE"], HUMAN),
    ("w7", "p7", BELLS, ["SOMEWHAT_AGREE"], HUMAN),
    ("w8", "p8", BELLS, ["SOMEWHAT_DISAGREE"], HUMAN),
    ("w9", "p9", BELLS, ["MOCK"], HUMAN),
    (None, "p10", BELLS, ["AGREE"], HUMAN),
    ("w11", "p11", BELLS, ["AGREE"], "MODEL"),
    ("w12", "p12", BELLS, None, HUMAN),
    ("w1", "p1", CAFE, ["SOMEWHAT_DISAGREE"], HUMAN),
    ("w2", "p2", CAFE, ["DISAGREE"], HUMAN),
    ("w3", "p3", LAST, [], HUMAN),
]
# Person, question, opinion.
SAID = [
    ("w1", "S1", " They wake me – but I like them. "),
    ("w1", "S1", "Said in a later round."),
    ("w1", "S2", "Some work late."),
    ("w2", "S1", "  "),
    ("w2", "S1", "Ring them."),
    ("w3", "S1", "A naïve idea."),
    ("w11", "S1", "Yes."),
    ("w12", "S1", "No."),
    ("w99", "S1", "Nobody asked."),
]


def ratings(rows=ROWS):
    return pl.DataFrame(
        {
            "worker_id": [row[0] for row in rows],
            "ratings.metadata.participant_id": [row[1] for row in rows],
            "question.id": [row[2][0] for row in rows],
            "question.text": [row[2][1] for row in rows],
            "question.affirming_statement": [row[2][2] for row in rows],
            "question.negating_statement": [row[2][3] for row in rows],
            "question.topic": [7] * len(rows),
            "ratings.agreement": [row[3] for row in rows],
            "metadata.provenance": [row[4] for row in rows],
        }
    )


def opinions():
    return pl.DataFrame(SAID, schema=["worker_id", "question.id", "opinion.text"], orient="row")


@pytest.fixture
def files(tmp_path):
    paths = {RATINGS: tmp_path / RATINGS, OPINIONS: tmp_path / OPINIONS}
    ratings().write_parquet(paths[RATINGS])
    opinions().write_parquet(paths[OPINIONS])
    return paths


def given(item):
    return json.dumps({"question.text": item[1], "statement": item[2]}, ensure_ascii=False)


DROPPED = {
    "mock rating": 1,
    "rating without a person": 1,
    "further rating of a question by the same person": 1,
    "rating without a label, an opinion or a text": 8,  # w4 to w8, w12, w2 on the café, w3 on rain
}


def test_a_person_rates_statements_and_says_why(files, split):
    people, dropped = split(PEOPLE(files))
    assert list(people) == ["w1", "w2", "w3", "w11"]
    assert people["w1"].draws == (
        Draw(
            given(BELLS), '{"ratings.agreement": "Strongly Agree", "opinion.text": "They wake me – but I like them."}'
        ),
        Draw(given(CAFE), '{"ratings.agreement": "Somewhat Disagree", "opinion.text": "Some work late."}'),
    )
    assert json.loads(people["w2"].draws[0].output)["opinion.text"] == "Ring them."
    assert dropped == DROPPED
    labels, _ = split(CATEGORICAL(files))
    assert labels["w1"].draws == (Draw(given(BELLS), "Strongly Agree"), Draw(given(CAFE), "Somewhat Disagree"))
    assert habermas.TASKS[2].options == tuple(LABELS.values())
    assert len(set(LABELS.values())) == 7


def test_descriptions_list_the_seven_labels_and_no_ids(files, split):
    for read, fields in (
        (PEOPLE, ("United Kingdom", "opinion.text", "ratings.agreement", "statement")),
        (CATEGORICAL, ()),
    ):
        people, _ = split(read(files))
        for text in people["w11"].descriptions:
            assert all(word in text for word in (*fields, *LABELS.values()))
            assert "w11" not in text


def test_each_question_is_drawn_once(files, split):
    processes, dropped = split(QUESTION(files))
    assert processes["questions"].draws == (Draw(None, BELLS[1]), Draw(None, CAFE[1]))
    assert dropped == DROPPED
    assert (habermas.TASKS[0].sequences.mode, habermas.TASKS[0].sequences.length.mean) == ("partition", 32)


def test_the_bank_of_questions_stands_in(tmp_path, split):
    path = tmp_path / "bank.json"
    texts = [CAFE[1], " Why is it so? ", CAFE[1]]
    path.write_text(json.dumps([{"id": str(i), "question": text} for i, text in enumerate(texts)]))
    processes, _ = split(QUESTION({BANK: path}))
    assert processes["questions"].draws == (Draw(None, CAFE[1]), Draw(None, "Why is it so?"))


def test_targets_run_from_strongly_for_a_to_strongly_for_b(files, split):
    targets, dropped = split(TARGETS(files))
    prompt = "Should bells be rung?\nStatement A: Bells should be rung.\nStatement B: Bells should not be rung."
    # w1 and w2 strongly agree, w3 agrees, w7 somewhat, w4 is neutral, w6 and w8 somewhat disagree, w5 strongly.
    shares = (2 / 8, 1 / 8, 1 / 8, 1 / 8, 2 / 8, 0, 1 / 8)
    assert {name: example.target for name, example in targets.items()} == {
        "S1": Target(prompt, ("1", "2", "3", "4", "5", "6", "7"), shares, n_responses=8)
    }
    assert dropped == {
        "mock rating": 1,
        "rating without a person": 1,
        "rating that no citizen gave": 1,
        "further rating of a question by the same person": 1,
        "rating without a label or a text": 2,
        "rating of a question with fewer than 6": 2,
    }
    [text] = targets["S1"].descriptions
    assert all(step in text for step in ("1 = strongly for A", "4 = neutral", "7 = strongly for B"))


def test_at_most_2000_people(files, split):
    rows = [(f"w{i}", f"p{i}", BELLS, ["AGREE"], HUMAN) for i in range(2010)]
    ratings(rows).write_parquet(files[RATINGS])
    said = [(f"w{i}", "S1", "Yes.") for i in range(2010)]
    pl.DataFrame(said, schema=["worker_id", "question.id", "opinion.text"], orient="row").write_parquet(files[OPINIONS])
    people, dropped = split(CATEGORICAL(files))
    assert len(people) == 2000
    assert list(people) == sorted(people, key=lambda name: int(name[1:])) != [f"w{i}" for i in range(2000)]
    assert dropped == {"rating by a person beyond 2000": 10}


def test_the_committed_fixtures_hold_these_rows(fixture_files):
    committed = fixture_files(HABERMAS)
    assert pl.read_parquet(committed[RATINGS]).equals(ratings())
    assert pl.read_parquet(committed[OPINIONS]).equals(opinions())


def with_agreement(table, value):
    return table.with_columns(pl.Series("ratings.agreement", [value] * len(table)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("question.text"), "lacks a column it should have"),
        (
            lambda t: with_agreement(t, ["PERHAPS"]),
            "row 1: column 'ratings.agreement'",
        ),
        (
            lambda t: with_agreement(t, ["AGREE", "NEUTRAL"]),
            "row 1: column 'ratings.agreement' holds ['AGREE', 'NEUTRAL'], which is not one known label",
        ),
        (lambda t: with_agreement(t, 7), "has a column 'ratings.agreement' of type Int64"),
        (lambda t: t.clear(), "holds no row"),
    ],
)
def test_damaged_ratings_are_named(files, change, message):
    change(ratings()).write_parquet(files[RATINGS])
    for read in (PEOPLE, TARGETS, QUESTION):
        with pytest.raises(UserError, match=r"ratings\.parquet") as error:
            list(read(files))
        assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table"])
def test_files_that_are_not_parquet_are_named(files, content):
    files[OPINIONS].write_bytes(content or files[OPINIONS].read_bytes()[:-20])
    with pytest.raises(UserError, match=r"responses\.parquet' is not valid Parquet"):
        list(PEOPLE(files))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "row 1: the file is not a JSON list but dict"),
        ('[{"question": "Why?"}, {"id": "S1"}]', "row 2: there is no 'question'"),
        ('[{"question": null}]', "row 1: "),
        ('[{"question": " "}]', "row 1: field 'question' is empty"),
        ('[{"question": ', "is not JSON"),
    ],
)
def test_a_damaged_bank_is_named(tmp_path, content, message):
    path = tmp_path / "bank.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"bank\.json") as error:
        list(QUESTION({BANK: path}))
    assert message in str(error.value)


def test_real_rows_of_the_bank(real_files, split):
    files = real_files(habermas.TASKS[0].source)
    if list(files) != [BANK]:
        pytest.skip("SPECTRUM_SOURCES has the ratings themselves")
    items = json.loads(files[BANK].read_text(encoding="utf-8"))
    processes, _ = split(QUESTION(files))
    assert [draw.output for draw in processes["questions"].draws] == [
        text.strip() for text in dict.fromkeys(item["question"] for item in items)
    ]
    assert len(items) in {600, 5645}  # the sample, the whole file
