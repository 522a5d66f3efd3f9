import csv
import json

import pytest

from dataset_builder.sources import community_alignment
from dataset_builder.sources.community_alignment import COMMUNITY_ALIGNMENT
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

FILE, FIRST_VERSION = "community_alignment.csv", "data/filtered_community_alignment.csv"
PROMPTS, RESPONSES, REPLY, PREFERENCES = TASKS = community_alignment.TASKS
ANN = (
    '{"age": "18-30", "gender": "female", "education": "Some post-secondary", "politics": "Moderate", '
    '"ethnicity": "White", "country": "USA"}'
)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_reply_follows_the_preferred_response(fixture_files, split):
    people, dropped = split(REPLY.read(fixture_files(COMMUNITY_ALIGNMENT)))
    assert list(people) == ["ann-77", "ann-66"]
    assert people["ann-77"].draws[:2] == (
        Draw('{"prompt": "What is thing 0?", "model_response": "Four to  What is thing 0?"}', "And thing 1?"),
        Draw('{"prompt": "What is thing 1?", "model_response": "Two to  What is thing 1?"}', "And thing 2?"),
    )
    assert dropped == {
        "row without a first prompt or a preferred reply": 2,
        "row without a second message": 2,
        "row of a person with fewer than 4": 3 + 2,  # ann-88 and ann-99
    }


def test_the_preferred_response_and_the_reason_if_there_is_one(fixture_files, split):
    people, dropped = split(PREFERENCES.read(fixture_files(COMMUNITY_ALIGNMENT)))
    assert {name: len(person.draws) for name, person in people.items()} == {"ann-77": 4, "ann-88": 5, "ann-66": 4}
    assert [json.loads(draw.output) for draw in people["ann-77"].draws[:2]] == [
        {"preferred_response": "response_d"},
        {"preferred_response": "response_b", "justification": 'Short,\n"good"'},
    ]
    assert json.loads(people["ann-88"].draws[0].input) == {
        "prompt": "Che ore sono?",
        "response_a": "One to Che ore sono?",
        "response_b": "Two to Che ore sono?",
        "response_c": "Three to Che ore sono?",
        "response_d": "Four to Che ore sono?",
    }
    assert dropped == {
        "row without a first prompt or a preferred reply": 2,
        "row with a reply without text": 1,
        "row of a person with fewer than 4": 1,
    }


def test_every_description_of_replies_tells_who_the_user_is(fixture_files, split):
    people, _ = split(REPLY.read(fixture_files(COMMUNITY_ALIGNMENT)))
    assert all(text.endswith(f" The person: {ANN}") for text in people["ann-77"].descriptions)
    assert len(people["ann-77"].descriptions) == 2
    assert not any("The person: " in text for text in people["ann-66"].descriptions)


def test_half_of_the_descriptions_of_preferences_tell_who_the_user_is(fixture_files, split):
    people, _ = split(PREFERENCES.read(fixture_files(COMMUNITY_ALIGNMENT)))
    about = {"ann-77": ANN, "ann-88": '{"age": "51+", "gender": "male", "country": "Italy"}'}
    for name, told in about.items():
        ends = [text.endswith(f" The person: {told}") for text in people[name].descriptions]
        assert ends == [False, False, True, True]
    assert len(people["ann-66"].descriptions) == 2


def test_different_prompts_of_a_language(fixture_files, split):
    languages, dropped = split(PROMPTS.read(fixture_files(COMMUNITY_ALIGNMENT)))
    assert {name: [draw.output for draw in table.draws] for name, table in languages.items()} == {
        "en": ["What is thing 0?", "What is thing 1?", "What is thing 2?", "What is thing 3?", "Where to?"],
        "fr": ["Où est 0 ?", "Où est 1 ?", "Où est 2 ?"],
        "it": ["Che ore sono?", "È vero il 0?", "È vero il 1?", "È vero il 2?", "È vero il 3?"],
    }
    for code, name in (("en", "English"), ("fr", "French"), ("it", "Italian")):
        assert all(name in text for text in languages[code].descriptions)
    assert dropped == {
        "row without a first prompt or a preferred reply": 2,
        "row whose prompt was there before": 2,
    }


def test_the_four_responses_are_in_random_order(damaged_files, split):
    files = damaged_files(COMMUNITY_ALIGNMENT)
    languages, dropped = split(RESPONSES.read(files))
    assert {name: len(table.draws) for name, table in languages.items()} == {"en": 4, "fr": 3, "it": 5}
    assert dropped["row with a reply without text"] == 1
    row = rows_of(files[FILE])[0]
    write(files[FILE], [row | {"first_turn_prompt": f"Prompt {n}"} for n in range(400)])
    orders = [tuple(json.loads(draw.output)) for draw in split(RESPONSES.read(files))[0]["en"].draws]
    assert {frozenset(order) for order in orders} == {
        frozenset(f"{n} to  What is thing 0?" for n in ("One", "Two", "Three", "Four"))
    }
    assert len(set(orders)) == 24
    assert 70 < sum(order[0].startswith("One") for order in orders) < 130  # 100 are expected
    assert [tuple(json.loads(draw.output)) for draw in split(RESPONSES.read(files))[0]["en"].draws] == orders


def test_no_text_has_an_id_a_marker_or_a_gap(fixture_files, split):
    for task in TASKS:
        for example in split(task.read(fixture_files(COMMUNITY_ALIGNMENT)))[0].values():
            for text in (*example.descriptions, *(text for draw in example.draws for text in draw if text)):
                assert not any(trace in text for trace in ("ann-", "<|", "None", "null", "{}", "{language}", ': ""'))


def test_only_the_first_10000_rows_are_looked_at(damaged_files, split):
    files = damaged_files(COMMUNITY_ALIGNMENT)
    row = rows_of(files[FILE])[0]
    write(files[FILE], [row | {"first_turn_prompt": f"Prompt {n}"} for n in range(10_001)])
    with files[FILE].open("a") as file:
        file.write("a row that is not looked at\n")
    languages, dropped = split(PROMPTS.read(files))
    assert len(languages["en"].draws) == 10_000
    assert dropped == {"row beyond the first 10000": 2}
    assert languages["en"].draws[-1].output == "Prompt 9999"


def test_the_file_of_the_first_version_reads_the_same(fixture_files, split):
    files = fixture_files(COMMUNITY_ALIGNMENT)
    assert [[file.path for file in layout] for layout in COMMUNITY_ALIGNMENT.other_layouts] == [[FIRST_VERSION]]
    for task in TASKS:
        assert list(task.read({FIRST_VERSION: files[FILE]})) == list(task.read(files))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("annotator_id", "", "row 2: column 'annotator_id' or 'assigned_lang' is empty"),
        ("assigned_lang", "", "row 2: column 'annotator_id' or 'assigned_lang' is empty"),
        ("first_turn_preferred_response", "response_e", "row 2: the preferred reply 'response_e' is not one of"),
    ],
)
def test_a_damaged_row_is_named(damaged_files, column, value, message):
    files = damaged_files(COMMUNITY_ALIGNMENT)
    rows = rows_of(files[FILE])
    rows[1][column] = value
    write(files[FILE], rows)
    for task in TASKS:
        with pytest.raises(UserError, match=r"community_alignment\.csv") as error:
            list(task.read(files))
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace(b"annotator_country", b"country", 1), "the header lacks column 'annotator_country'"),
        (lambda text: text.replace(b",USA\n", b",USA,\n", 1), "row 1: it has 18 fields where 17 are expected"),
        (lambda text: text.replace(b",USA\n", b"\n", 1), "row 1: it has 16 fields where 17 are expected"),
        (lambda text: text.replace("È".encode(), b"\xc8", 1), "row 6: 'utf-8' codec can't decode"),
        (lambda text: text[: text.index(b'""good') + 3], "row 2: unexpected end of data"),
        (lambda text: text[: text.index(b"\n") + 1], "row 1: the file ends before its first row"),
        (lambda text: b"", "the header lacks column 'annotator_id'"),
    ],
)
def test_an_unreadable_file_is_named(damaged_files, damage, message):
    files = damaged_files(COMMUNITY_ALIGNMENT)
    files[FILE].write_bytes(damage(files[FILE].read_bytes()))
    with pytest.raises(UserError, match=r"community_alignment\.csv") as error:
        list(PROMPTS.read(files))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    languages, _ = split(PROMPTS.read(real_files(COMMUNITY_ALIGNMENT)))
    assert set(languages) <= set(community_alignment.LANGUAGES)
