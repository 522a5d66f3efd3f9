import json

import pytest

from dataset_builder.sources.hatespeech_kumar import HATESPEECH_KUMAR, TASKS, rater_id
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

PATH = "classified_data_final_w_worker_hash.json"
TASK, _ = TASKS
BREAD, DAY = "Your bread is stale, and you know it.", "Que dia lindo! O café está ótimo."
GARDENS = "Nobody asked for your opinion on gardens.\nReally."
RATING = {"toxic_score": 1, "is_profane": False, "worker_hash": "w1", "gender": "Female"}


def test_one_process_per_rater_in_the_order_of_comments(fixture_files, split):
    raters, dropped = split(TASK.read(fixture_files(HATESPEECH_KUMAR)))
    assert [rater.draws for rater in raters.values()] == [
        (Draw(BREAD, "1"), Draw(DAY, "0")),  # w1
        (Draw(BREAD, "3"), Draw(DAY, "0"), Draw(GARDENS, "4")),  # w2
        (Draw(BREAD, "0"),),  # w3
        (Draw(GARDENS, "2"),),  # w1, who is another person on the second questionnaire
    ]
    assert dropped == {
        "comment without text": 2,
        "rating without a toxicity score": 1,
        "second rating of a comment by the same person": 1,
    }


def test_ids_depend_on_the_rater_alone():
    # printf '{"gender": "Female", "worker_hash": "w1"}' | sha256sum
    assert rater_id(RATING) == "e834e620c9dacd6f"
    assert rater_id(dict(reversed(RATING.items())) | {"toxic_score": 4, "is_profane": True}) == rater_id(RATING)
    assert rater_id(RATING | {"gender": "Male"}) != rater_id(RATING)
    assert rater_id(RATING | {"worker_hash": "w2"}) != rater_id(RATING)


def test_no_text_names_a_rater(fixture_files, split):
    raters, _ = split(TASK.read(fixture_files(HATESPEECH_KUMAR)))
    for process, rater in raters.items():
        texts = [*rater.descriptions, *(text for draw in rater.draws for text in draw)]
        assert not any(hidden in text for text in texts for hidden in (process, "w1", "w2", "w3", "Female", "25 - 34"))


def test_the_scale_is_explained_in_every_description(fixture_files, split):
    raters, _ = split(TASK.read(fixture_files(HATESPEECH_KUMAR)))
    for description in next(iter(raters.values())).descriptions:
        assert "0" in description
        assert "4" in description
        assert "extremely toxic" in description


def test_a_thousand_raters_are_chosen_whatever_the_order(damaged_files, split):
    files = damaged_files(HATESPEECH_KUMAR)
    ratings = [RATING | {"worker_hash": f"w{number}"} for number in range(1100)]
    lines = [
        json.dumps({"comment_id": name, "comment": name, "ratings": ratings[:shown]})
        for name, shown in (("all", 1100), ("some", 550))
    ]
    files[PATH].write_text("\n".join(lines))
    raters, dropped = split(TASK.read(files))
    assert len(raters) == 1000
    assert list(raters) != [rater_id(rating) for rating in ratings[:1000]]  # a sample, not the first ones
    shown = sum(len(rater.draws) for rater in raters.values())
    assert dropped == {"rating by a person beyond the 1000": 1650 - shown}
    files[PATH].write_text("\n".join(reversed(lines)))
    assert split(TASK.read(files))[0].keys() == raters.keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"toxic_score": 3', '"toxic_score": 5', "row 1: the toxicity score 5 is not one of"),
        ('"toxic_score": 3', '"toxic_score": true', "row 1: the toxicity score True is not one of"),
        ('"toxic_score": 3', '"toxic_score": "3"', "row 1: the toxicity score '3' is not one of"),
        ('"toxic_score": 3', '"toxic_score": [3]', "row 1: "),
        ('"toxic_score": 3', '"toxicity": 3', "row 1: there is no 'toxic_score'"),
        ('"comment_id": "c2"', '"id": "c2"', "row 2: there is no 'comment_id'"),
        ('"comment": "  "', '"comment": null', "row 3: field 'comment' holds None"),
        ('"ratings": [', '"ratings": [7, ', "row 1: a rating is not a JSON object but 7"),
        ("Really", "Really\udcff", "row 4: "),
        ("}]}\n", "}]\n", "row 1: "),
    ],
)
def test_a_damaged_line_is_named(damaged_files, old, new, message):
    files = damaged_files(HATESPEECH_KUMAR)
    text = files[PATH].read_text()
    assert old in text
    files[PATH].write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="classified_data_final") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_ratings_that_say_nothing_of_the_rater_are_refused(damaged_files):
    files = damaged_files(HATESPEECH_KUMAR)
    files[PATH].write_text('{"comment_id": 1, "comment": "Hm.", "ratings": [{"toxic_score": 1}]}')
    with pytest.raises(UserError, match="row 1: a rating says nothing of its rater"):
        list(TASK.read(files))


def test_an_empty_file_is_named(damaged_files):
    files = damaged_files(HATESPEECH_KUMAR)
    files[PATH].write_text("")
    with pytest.raises(UserError, match=r"worker_hash\.json' holds no row"):
        list(TASK.read(files))
