import json

import pytest

from dataset_builder.sources.collective_alignment import COLLECTIVE_ALIGNMENT, TASKS
from spectrum_suite.errors import UserError

PROMPTS, ASSESSMENTS = "comparisons.jsonl", "merged_comparisons_annotators.jsonl"
(TASK,) = TASKS


def edited(path, number, change):
    lines = path.read_text().splitlines()
    row = json.loads(lines[number - 1])
    change(row)
    lines[number - 1] = json.dumps(row)
    path.write_text("\n".join(lines))


def test_people_with_three_assessments_of_known_prompts(fixture_files, split):
    people, dropped = split(TASK.read(fixture_files(COLLECTIVE_ALIGNMENT)))
    assert {name: len(person.draws) for name, person in people.items()} == {"anno-1": 3, "anno-2": 3}
    assert dropped == {
        "assessment of an unknown prompt": 1,
        "assessment of a prompt or a reply without text": 1,
        "assessment without an answer": 1,
        "row of a person with fewer than 3": 2,
    }


def test_replies_go_by_their_letter_and_only_the_user_speaks(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(COLLECTIVE_ALIGNMENT)))
    first, second, _ = (json.loads(draw.input) for draw in people["anno-1"].draws)
    assert first == {
        "conversation": "Is it fair to skip a queue?",
        "response_a": "Never “ever”.",
        "response_b": "No.",
        "response_c": "Yes.",
        "response_d": "Ask first.",
    }
    assert second["conversation"] == "Shall I lie?\n\nTo be nice."


def test_answers_that_were_not_given_are_left_out(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(COLLECTIVE_ALIGNMENT)))
    outputs = {name: [json.loads(draw.output) for draw in person.draws] for name, person in people.items()}
    assert outputs["anno-1"][0] == {
        "personal_ranking": "D>A>B>C",
        "world_ranking": "A=B=C=D",
        "personal_rationale": "Honest.",
        "unacceptable_responses": "B is unacceptable|C is unacceptable",
        "unacceptable_rationale": "Rude.",
        "importance": "Very important",
        "representativeness": "Somewhat",
    }
    assert outputs["anno-1"][1] == {
        "world_ranking": "A>B=C>D",
        "world_rationale": "Kind to all.",
        "importance": "Very important",
        "representativeness": "Somewhat",
        "subjectivity": "A matter of opinion",
    }
    assert outputs["anno-2"][2] == {"world_ranking": "B>A>C>D"}


def test_descriptions_explain_every_field_and_tell_what_is_known(fixture_files, split):
    people, _ = split(TASK.read(fixture_files(COLLECTIVE_ALIGNMENT)))
    known = '{"age": "25-34", "gender": "Female", "country_of_residence": "Kenya", "languages": ["Swahili", "English"]}'
    assert all(text.endswith(f" The person: {known}") for text in people["anno-1"].descriptions)
    assert not any("The person: " in text for text in people["anno-2"].descriptions)
    for person in people.values():
        assert len(person.descriptions) == 2
        for text in person.descriptions:
            assert all(name in text for name in TASK.outputs)
        for text in (*person.descriptions, *(text for draw in person.draws for text in draw)):
            assert not any(trace in text for trace in ("anno-", "None", "null", "{}", ': ""'))


def test_a_prompt_that_comes_again_is_used_only_if_it_has_the_same_texts(damaged_files, fixture_files, split):
    files = damaged_files(COLLECTIVE_ALIGNMENT)
    before = split(TASK.read(fixture_files(COLLECTIVE_ALIGNMENT)))
    lines = files[PROMPTS].read_text().splitlines()
    files[PROMPTS].write_text("\n".join([*lines, lines[0]]) + "\n")
    assert split(TASK.read(files)) == before
    edited(files[PROMPTS], 2, lambda row: row.update(prompt_id="p1"))
    _, dropped = split(TASK.read(files))
    about = [json.loads(line)["prompt_id"] for line in files[ASSESSMENTS].read_text().splitlines()]
    assert dropped["assessment of a prompt whose id has several texts"] == about.count("p1") > 0


@pytest.mark.parametrize(
    ("file", "number", "change", "message"),
    [
        (PROMPTS, 2, lambda row: row["responses"].pop(), "row 2: there is no 'D'"),
        (PROMPTS, 2, lambda row: row["prompt"].pop("messages"), "row 2: there is no 'messages'"),
        (PROMPTS, 2, lambda row: row["responses"][0]["messages"][0].update(content=None), "row 2: "),
        (PROMPTS, 2, lambda row: row.update(responses={}), "row 2: field 'responses' holds {}"),
        (ASSESSMENTS, 3, lambda row: row.pop("annotator_id"), "row 3: there is no 'annotator_id'"),
        (ASSESSMENTS, 3, lambda row: row.update(importance=3), "row 3: field 'importance' holds 3"),
        (ASSESSMENTS, 3, lambda row: row.update(ranking_blocks=[]), "row 3: field 'ranking_blocks' holds []"),
        (
            ASSESSMENTS,
            1,
            lambda row: row["ranking_blocks"]["unacceptable"][0].update(rating="B"),
            "row 1: the answer to",
        ),
        (ASSESSMENTS, 1, lambda row: row["ranking_blocks"].update(world=["A>B"]), "row 1: the answer to 'world'"),
        (
            ASSESSMENTS,
            1,
            lambda row: row["ranking_blocks"]["world"][0].update(ranking=1),
            "row 1: an answer is not text",
        ),
    ],
)
def test_a_damaged_row_is_named(damaged_files, file, number, change, message):
    files = damaged_files(COLLECTIVE_ALIGNMENT)
    edited(files[file], number, change)
    with pytest.raises(UserError, match=file) as error:
        list(TASK.read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"prompt_id": "p1', b'{"prompt_id": "\xff"}', b"[]"])
@pytest.mark.parametrize("file", [PROMPTS, ASSESSMENTS])
def test_an_unreadable_file_is_named(damaged_files, file, content):
    files = damaged_files(COLLECTIVE_ALIGNMENT)
    files[file].write_bytes(content)
    with pytest.raises(UserError, match=file):
        list(TASK.read(files))


def test_real_rows(real_files, split):
    people, _ = split(TASK.read(real_files(COLLECTIVE_ALIGNMENT)))
    assert min(len(person.draws) for person in people.values()) >= 3
