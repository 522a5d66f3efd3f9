import pytest

from dataset_builder.files import find_files
from dataset_builder.sources.gpqa import GPQA, TASKS
from dataset_builder.task_spec import Draw, Sequences
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "dataset/gpqa_main.csv"


def shown(draw):
    """(lines above the choices, choices in order, the right choice)."""
    head, *choices = draw.input.split("\nA. ")
    rest = "\nA. ".join(["", *choices])
    for letter in "ABCD":
        rest = rest.replace(f"\n{letter}. ", "\x00")
    texts = rest.split("\x00")[1:]
    return head, texts, texts["ABCD".index(draw.output)]


def test_subject_question_and_choices_are_one_prompt(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(GPQA)))
    assert list(processes) == ["main"]
    spider, sky, week = (shown(draw) for draw in processes["main"].draws)
    assert spider[0] == "Subject: Counting\nHow many legs does a spider have?"
    assert sorted(spider[1]) == ["10", "4", "6", "8"]
    assert sky[0] == "What colour is a clear sky at noon?"  # its subject is empty
    assert sorted(sky[1]) == ["Blue", "Brown", "Green", "Über-grey, or\nalmost black"]
    assert week[0] == "Subject: Counting\nHow many days does a week have?"
    assert [spider[2], sky[2], week[2]] == ["8", "Blue", "7"]
    assert dropped == {"question or choice is empty": 1}


def test_the_order_of_choices_is_the_same_everywhere(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(GPQA)))
    assert processes["main"].draws[0] == Draw(
        "Subject: Counting\nHow many legs does a spider have?\nA. 8\nB. 10\nC. 6\nD. 4", "A"
    )


def test_the_order_of_choices_depends_on_the_question_alone(damaged_files, split):
    files = damaged_files(GPQA)
    header = "Subdomain,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n"
    lines = [f",What follows {n}?,{n + 1},{n + 2},{n + 3},{n + 4}\n" for n in range(200)]
    draws = []
    for order in (lines, lines[::-1]):
        files[PATH].write_text(header + "".join(order))
        processes, _ = split(TASK.read(files))
        draws.append(processes["main"].draws)
    assert draws[0] == draws[1][::-1]
    counts = [sum(draw.output == letter for draw in draws[0]) for letter in "ABCD"]
    assert min(counts) > 30  # 50 are expected of each
    assert len({tuple(int(text) - n for text in shown(draw)[1]) for n, draw in enumerate(draws[0])}) == 24


def test_a_file_unpacked_without_the_folder_of_the_archive_is_found(damaged_files, tmp_path):
    path = damaged_files(GPQA)[PATH]
    path.rename(tmp_path / "gpqa" / "gpqa_main.csv")
    assert list(find_files(TASK, tmp_path).found) == ["gpqa_main.csv"]


def test_a_missing_file_is_asked_for_and_nothing_is_fetched(tmp_path):
    with pytest.raises(UserError, match=r"gpqa_main\.csv") as error:
        find_files(TASK, tmp_path)
    assert GPQA.homepage in str(error.value)
    assert not GPQA.hub
    assert all(file.url is None for layout in (GPQA.files, *GPQA.other_layouts) for file in layout)


def test_the_task_is_held_out_and_may_not_be_passed_on():
    assert (TASK.split, TASK.options, GPQA.redistributable) == ("test", ("A", "B", "C", "D"), "no")
    assert TASK.sequences == Sequences("several", 20, count=1000)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b",Correct Answer,", b",Answer,", "lacks a column it should have"),
        (b",8,6,4,10,", b",8,6,4,", "row 1: it has 9 fields where 10 are expected"),
        (b"\xc3\x9cber", b"\xdcber", "is not valid CSV"),
        (b",Time,rec4\n", b",", "row 4: it has 9 fields where 10 are expected"),
    ],
)
def test_a_damaged_file_is_named(damaged_files, old, new, message):
    files = damaged_files(GPQA)
    content = files[PATH].read_bytes()
    assert old in content
    files[PATH].write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=r"gpqa_main\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_a_file_without_rows_is_named(damaged_files):
    files = damaged_files(GPQA)
    files[PATH].write_text(files[PATH].read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match=r"gpqa_main\.csv' holds no row"):
        list(TASK.read(files))
