import pytest

from dataset_builder.sources import numbergame
from dataset_builder.sources.numbergame import NUMBERGAME, read_people, read_shares, read_targets
from dataset_builder.task_spec import Draw, Target
from spectrum_suite.errors import UserError

PATH = "numbergame_data.csv"
LEFT_OUT = "row with an empty cell, or a rating other than 0 and 1"


def given(numbers, target):
    return f'{{"given_numbers": "{numbers}", "target_number": "{target}"}}'


def test_a_person_says_yes_or_no(fixture_files, split):
    people, dropped = split(read_people(fixture_files(NUMBERGAME)))
    assert list(people) == [str(person) for person in range(11)]
    assert people["0"].draws == (
        Draw(given("2, 4, 8", 16), "Yes"),
        Draw(given("60", 61), "Yes"),
        Draw(given("60", 62), "Yes"),
    )
    assert people["8"].draws == (Draw(given("2, 4, 8", 16), "No"), Draw(given("60", 61), "No"))
    assert dropped == {LEFT_OUT: 2}
    assert numbergame.TASKS[0].options == ("Yes", "No")
    for text in people["8"].descriptions:
        assert all(name in text for name in ("given_numbers", "target_number", "target_belongs_to_set"))
        assert "8" not in text  # the id


def test_shares_are_rounded_and_each_pair_is_drawn_once(fixture_files, split):
    tables, dropped = split(read_shares(fixture_files(NUMBERGAME)))
    assert tables["table"].draws == (
        Draw(given("2, 4, 8", 16), "78%"),  # 7 of 9
        Draw(given("60", 61), "10%"),
        Draw(given("60", 62), "29%"),  # 100 * 0.29 is a little less than 29
        Draw(given("3", 100), "13%"),  # 12.5
    )
    assert dropped == {LEFT_OUT: 2}
    assert all("hidden set" in text and "percentage" in text for text in tables["table"].descriptions)
    assert (numbergame.TASKS[1].sequences.mode, numbergame.TASKS[1].sequences.length.mean) == ("partition", 128)


def test_targets_are_shares_of_at_least_nine_answers(fixture_files, split):
    targets, dropped = split(read_targets(fixture_files(NUMBERGAME)))
    prompt = "Numbers of the set: 2, 4, 8\nTarget: 16"
    assert {name: example.target for name, example in targets.items()} == {
        "2_4_8/16": Target(prompt, ("Yes", "No"), (7 / 9, 1 - 7 / 9), 9),
        "60/61": Target("Numbers of the set: 60\nTarget: 61", ("Yes", "No"), (0.1, 0.9), 10),
    }
    assert dropped == {LEFT_OUT: 2, "answer to a pair with fewer than 9": 2}
    [text] = targets["60/61"].descriptions
    assert "hidden set" in text
    assert text.endswith("Yes or No?")
    assert numbergame.TASKS[2].output_label == "Target Number Membership (Yes/No)"


@pytest.mark.parametrize("written", [b"2_ 4_ 8", b" 2 _4_  8 "])
@pytest.mark.parametrize("read", [read_people, read_shares, read_targets])
def test_spaces_around_the_underscores_change_nothing(damaged_files, fixture_files, split, read, written):
    files = damaged_files(NUMBERGAME)
    files[PATH].write_bytes(files[PATH].read_bytes().replace(b"2_4_8", written, 5))  # the other rows stay as they are
    processes, dropped = split(read(files))
    assert (processes, dropped) == split(read(fixture_files(NUMBERGAME)))
    texts = [str(one.draws) + str(one.target) for one in processes.values()]
    assert any("2, 4, 8" in text for text in texts)
    assert not any("  " in text for text in texts)


@pytest.mark.parametrize("read", [read_people, read_shares, read_targets])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"set,target", b"set,goal", "lacks a column it should have"),
        (b"0,2_4_8,16", b"0,2_4_8,sixteen", "row 1: column 'target' holds 'sixteen'"),
        (b"0,2_4_8,16", b"0,2 and 4,16", "row 1: a set must be numbers joined by _"),
        (b"0,2_4_8,16", b"0,2 4_8,16", "row 1: a set must be numbers joined by _"),
        (b",0.29", b",29", "row 20: a set must be numbers joined by _, and p a share between 0 and 1"),
        (b"16,1,1.5", b"16,yes,1.5", "row 1: column 'rating' holds 'yes'"),
        (b"60,61", b"60", "row 10: it has 5 fields where 6 are expected"),
        (b"2_4_8", b"2_\xe9", "is not valid CSV"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, read, old, new, message):
    files = damaged_files(NUMBERGAME)
    content = files[PATH].read_bytes()
    assert old in content
    files[PATH].write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=r"numbergame_data\.csv") as error:
        list(read(files))
    assert message in str(error.value)


@pytest.mark.parametrize(("size", "message"), [(0, "is not valid CSV"), (26, "holds no row")])
def test_a_file_that_was_cut_off_is_named(damaged_files, size, message):
    files = damaged_files(NUMBERGAME)
    files[PATH].write_bytes(files[PATH].read_bytes()[:size])
    with pytest.raises(UserError, match=rf"numbergame_data\.csv.*{message}"):
        list(read_people(files))
