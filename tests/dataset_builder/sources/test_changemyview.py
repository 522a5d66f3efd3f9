import json
import tracemalloc

import pytest

from dataset_builder.sources import changemyview
from dataset_builder.sources.changemyview import CHANGEMYVIEW, cleaned, read_threads
from dataset_builder.task_spec import Draw, Dropped
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import stable_sample

PATH = "threads.jsonl"
TASK = {task.name: task for task in changemyview.TASKS}
SOUP, CAFES = "CMV: Soup is a drink", "CMV: Cafés should close at noon"
SIP, NAP, FORM = (
    "You can sip it from a cup.\n\nSo it is a drink.",
    "Ask another user, who naps at two — every day.",
    "It has no form of its own.",
)
DROPPED = {
    "title or body empty, deleted or removed": 4,
    "fewer than 5 comments": 1,
    "no comment with text": 1,
    "post that came before": 1,
}


def row(**changes):
    comments = [{"body": "Why?", "score": 1}]
    return {"title": "CMV: Ice", "selftext": "Cold.", "score": 1, "num_comments": 5, "comments": comments, **changes}


def test_posts_and_titles_are_lists_of_distinct_texts(fixture_files, split):
    processes, dropped = split(TASK["changemyview_categories"].read(fixture_files(CHANGEMYVIEW)))
    assert {process: [draw.output for draw in example.draws] for process, example in processes.items()} == {
        "posts": [f"{SOUP}\n\n{SIP}", f"{CAFES}\n\n{NAP}", f"{SOUP}\n\n{FORM}"],
        "titles": [SOUP, CAFES],
    }
    assert dropped == DROPPED


def test_one_part_of_a_post_given_another(fixture_files, split):
    processes, dropped = split(TASK["changemyview_posts"].read(fixture_files(CHANGEMYVIEW)))
    posts = [(SOUP, SIP), (CAFES, NAP), (SOUP, FORM)]
    assert processes["selftext_from_title"].draws == tuple(Draw(title, text) for title, text in posts)
    assert processes["title_from_selftext"].draws == tuple(Draw(text, title) for title, text in posts)
    draws = processes["score_from_title_selftext"].draws
    assert [draw.output for draw in draws] == ["12", "-3", "0"]
    assert [json.loads(draw.input) for draw in draws] == [{"title": title, "selftext": text} for title, text in posts]
    assert "Cafés" in draws[1].input  # not an escape
    assert dropped == DROPPED


@pytest.mark.parametrize("name", TASK)
def test_no_name_of_a_user_is_in_any_text(fixture_files, split, name):
    processes, _ = split(TASK[name].read(fixture_files(CHANGEMYVIEW)))
    assert "made_up" not in str(processes)
    assert TASK[name].sequences.mode == "partition"
    assert TASK[name].sequences.length.mean == 16


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("A view.\n\n_____\n\n> *Hello, users of CMV! This is a footnote from your moderators.*", "A view."),
        ("A view.\n> *This is a footnote from the moderators.*\nAn edit.", "A view.\nAn edit."),
        ("One.\n\n---\n\nTwo.", "One.\n\n---\n\nTwo."),
        ("By [/u/some_one](https://www.reddit.com/u/some_one)!", "By [another user](another user)!"),
        ("u/some-one and user/some_one, not you/me", "another user and another user, not you/me"),
        (" [removed] ", ""),
        ("[deleted] scenes are fun", "[deleted] scenes are fun"),
    ],
)  # fmt: skip
def test_cleaned(text, clean):
    assert cleaned(text) == clean


def test_descriptions_tell_which_part_is_wanted(fixture_files, split):
    posts, _ = split(TASK["changemyview_categories"].read(fixture_files(CHANGEMYVIEW)))
    parts, _ = split(TASK["changemyview_posts"].read(fixture_files(CHANGEMYVIEW)))
    assert all("change their mind" in text for example in posts.values() for text in example.descriptions)
    assert all("upvotes" in text and "downvotes" in text for text in parts["score_from_title_selftext"].descriptions)
    texts = [text for example in (*posts.values(), *parts.values()) for text in example.descriptions]
    assert len(set(texts)) == len(texts) == 10


def test_a_large_file_is_sampled_and_only_the_sample_is_decoded(damaged_files, monkeypatch):
    files = damaged_files(CHANGEMYVIEW)
    lines = [json.dumps(row(title=f"CMV: {number}")) for number in range(1, 1001)]
    monkeypatch.setattr(changemyview, "_MAX_THREADS", 100)
    files[PATH].write_text("\n".join(lines) + "\n")
    beyond, *threads = read_threads(files)
    assert beyond == Dropped("thread beyond the sample of 100", 900)
    assert len(threads) == 100
    chosen = sorted(map(int, stable_sample(map(str, range(1, 1001)), 100, "changemyview")))
    assert [thread.title for thread in threads] == [f"CMV: {number}" for number in chosen]
    [left_out, *_] = sorted(set(range(1, 1001)) - set(chosen))
    lines[left_out - 1] = "{"
    files[PATH].write_text("\n".join(lines) + "\n")
    assert list(read_threads(files)) == [beyond, *threads]


def test_memory_is_bounded_by_the_sample(damaged_files, monkeypatch):
    files = damaged_files(CHANGEMYVIEW)
    monkeypatch.setattr(changemyview, "_MAX_THREADS", 20)
    comments = [{"body": "word " * 2000}]
    with files[PATH].open("w") as file:
        file.writelines(json.dumps(row(title=f"CMV: {i}", comments=comments)) + "\n" for i in range(600))
    tracemalloc.start()
    _, *threads = read_threads(files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(threads) == 20
    assert peak < 600_000 < files[PATH].stat().st_size / 9


def test_a_variant_has_at_most_so_many_draws(fixture_files, damaged_files, split, monkeypatch):
    files = damaged_files(CHANGEMYVIEW)
    lines = [json.dumps(row(title=f"CMV: {number}", selftext=f"View {number}.")) for number in range(60)]
    files[PATH].write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(changemyview, "_MAX_DRAWS", 20)
    processes, dropped = split(TASK["changemyview_posts"].read(files))
    assert {len(example.draws) for example in processes.values()} == {20}
    assert dropped == {f"post beyond the 20 of the variant {variant}": 40 for variant in processes}
    titles = [draw.input for draw in processes["selftext_from_title"].draws]
    assert titles == sorted(titles, key=lambda title: int(title.split()[1]))  # in upstream order
    assert set(titles) != {draw.output for draw in processes["title_from_selftext"].draws}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"title": "CMV: Cut", "selft', "row 11: "),
        (json.dumps({"selftext": "No title."}), "row 11: there is no 'title'"),
        (json.dumps(row(title=None)), "row 11: "),
        (json.dumps(row(score="high")), "row 11: 'score' 'high'"),
        (json.dumps(row(num_comments=None)), "row 11: "),
        (json.dumps(row(comments=["Why?"])), "row 11: 'comments' is not a list of JSON objects"),
        (json.dumps(row(comments=[{"body": 7}])), "row 11: "),
        ("[1]", "row 11: "),
        ("", "row 11: "),
        ('{"title": "é"}'.encode("latin-1"), "row 11: "),
    ],
)
def test_a_damaged_line_is_named(damaged_files, line, message):
    files = damaged_files(CHANGEMYVIEW)
    with files[PATH].open("ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(UserError, match=r"threads\.jsonl") as error:
        list(TASK["changemyview_posts"].read(files))
    assert message in str(error.value)


def test_an_empty_file_is_named(damaged_files):
    files = damaged_files(CHANGEMYVIEW)
    files[PATH].write_text("")
    with pytest.raises(UserError, match=r"threads\.jsonl.* the file is empty"):
        list(TASK["changemyview_categories"].read(files))


def test_real_rows(real_files):
    items = list(read_threads(real_files(CHANGEMYVIEW)))
    assert sum(isinstance(item, Dropped) for item in items) < len(items) == 10_001
