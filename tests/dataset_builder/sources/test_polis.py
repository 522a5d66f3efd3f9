import csv
from collections import defaultdict

import pytest

from dataset_builder.sources import polis
from dataset_builder.sources.polis import CONVERSATIONS, POLIS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

MARKET, NEVER = "A market day brings people together.", 'My neighbour said "never on Sundays" and meant it.'
MUSIC, FREE = "Two wishes for the square:\nmusic and warm food", "Stalls should be free for children, of course."


def test_votes_are_in_the_order_of_voting_and_the_last_vote_on_a_statement_stands(fixture_files, split):
    voters, dropped = split(polis.read_votes(fixture_files(POLIS)))
    assert list(voters) == ["brexit-consensus/0", "brexit-consensus/2", "vtaiwan.uberx/5"]
    assert voters["brexit-consensus/0"].draws == (
        Draw(MARKET, "Agree"),
        Draw(MUSIC, "Agree"),
        Draw(NEVER, "Pass"),
        Draw(FREE, "Disagree"),  # agreed at first, the second vote of all
    )
    assert voters["brexit-consensus/2"].draws == (
        Draw(MARKET, "Agree"),
        Draw(NEVER, "Agree"),
        Draw(MUSIC, "Agree"),
        Draw(FREE, "Disagree"),
    )
    assert [draw.output for draw in voters["vtaiwan.uberx/5"].draws] == ["Agree", "Disagree", "Agree", "Pass"]
    assert dropped == {
        "statement that the moderators rejected": 1,
        "statement without text": 1,
        "statement with fewer than 4 words": 1,
        "test statement with fewer than 3 words": 2,
        "empty vote": 1,
        "vote on a dropped statement": 3,
        "vote that was cast for the author together with the statement": 1,
        "vote that the same person cast again later": 1,
        "vote by a person with fewer than 4": 3,
    }


def test_comments_keep_upstream_order_and_repetitions(fixture_files, split):
    conversations, dropped = split(polis.read_comments(fixture_files(POLIS)))
    assert conversations["brexit-consensus"].draws == tuple(
        Draw(None, text) for text in (MARKET, MUSIC, NEVER, FREE, MARKET)
    )
    # Chinese has no spaces between words, so short statements stay; "test" does not.
    assert [draw.output for draw in conversations["vtaiwan.uberx"].draws] == [
        "我覺得夜市應該更早開門。",
        "我覺得攤位太多了",
        "我覺得需要更多路燈",
        "我覺得音樂可以小聲一點",
    ]
    assert sum(dropped.values()) == 5
    assert dropped["statement that the moderators rejected"] == 1


def test_a_vote_of_an_author_is_left_out_only_where_polis_cast_it(damaged_files, split):
    files = damaged_files(POLIS)
    path = files["brexit-consensus/votes.csv"]
    written = 1599996400800  # when the second statement was written, by voter 0
    row = "{time},then,6,{voter},{vote}\n"
    for time, voter, vote, kept in [
        (written, 0, 1, "Agree"),  # at once: the later vote, of the fixture, stands
        (written + 8_000, 0, 0, "Agree"),
        (written - 3, 0, 1, "Agree"),  # the clocks of two machines
        (1600000019999, 0, -1, "Disagree"),  # the author thought again
    ]:
        content = path.read_text()
        path.write_text(content + row.format(time=time, voter=voter, vote=vote))
        voters, _ = split(polis.read_votes(files))
        assert dict(voters["brexit-consensus/0"].draws)[MUSIC] == kept
        path.write_text(content)
    path.write_text(path.read_text().replace("1600000010003", str(written + 7_000)))  # no vote of a person is left
    voters, dropped = split(polis.read_votes(files))
    assert "brexit-consensus/0" not in voters  # three votes are too few
    assert dropped["vote that was cast for the author together with the statement"] == 2


def test_descriptions_vary_in_the_context_they_give(fixture_files, split):
    conversations, _ = split(polis.read_comments(fixture_files(POLIS)))
    topic, text = "A market day in the village", "We may open the square to stalls, once a month.\nWhat do you think?"
    told = [(topic in d, text in d, d.startswith("Topic")) for d in conversations["brexit-consensus"].descriptions]
    assert set(told) == {
        (False, False, False),
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (True, True, True),
    }
    without_text = conversations["vtaiwan.uberx"].descriptions
    assert not any("facilitator" in description or "None" in description for description in without_text)
    assert len(set(without_text)) == len(without_text) == 6


def test_at_most_500_voters_of_a_conversation(damaged_files, split):
    files = damaged_files(POLIS)
    rows = [f"{voter * 10 + n},then,{n},{voter},1" for voter in range(1, 521) for n in (0, 4, 5, 6)]
    files["brexit-consensus/votes.csv"].write_text("timestamp,datetime,comment-id,voter-id,vote\n" + "\n".join(rows))
    voters, dropped = split(polis.read_votes(files))
    kept = [name for name in voters if name.startswith("brexit")]
    assert len(kept) == 500
    assert kept == sorted(kept, key=lambda name: int(name.split("/")[1]))
    assert kept != [f"brexit-consensus/{voter}" for voter in range(1, 501)]  # a sample, not the first ones
    assert dropped["vote by a person beyond the 500 of a conversation"] == 80
    assert list(split(polis.read_votes(files))[0]) == list(voters)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("votes.csv", ",0,0,1\n", ",0,0,2\n", "votes.csv', row 1: a vote needs"),
        ("votes.csv", ",0,1,1\n", ",0,,1\n", "votes.csv', row 2: a vote needs"),
        ("votes.csv", ",0,0,1\n", ",0,0,yes\n", "votes.csv', row 1: column 'vote' holds 'yes'"),
        ("votes.csv", "voter-id", "voter", "votes.csv' lacks a column"),
        ("comments.csv", "comment-body", "text", "comments.csv' lacks a column"),
        ("comments.csv", ",7,2,1,", ",seven,2,1,", "comments.csv', row 1: column 'comment-id' holds 'seven'"),
        ("comments.csv", ",7,2,1,", ",6,2,1,", "comments.csv' has two statements 6"),
        ("comments.csv", ",7,2,1,0,0", ",7,2,1,0,2", "comments.csv', row 1: column 'moderated' holds 2"),
        ("summary.csv", "views,12", "views,12,13", "summary.csv', row 3: it has 3 fields"),
    ],
)
def test_a_damaged_file_is_named_with_its_row(damaged_files, file, old, new, message):
    files = damaged_files(POLIS)
    path = files[f"brexit-consensus/{file}"]
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match="brexit-consensus") as error:
        list(polis.read_votes(files))
    assert message in str(error.value)


def test_the_twenty_conversations_have_three_pinned_files_each():
    assert len(CONVERSATIONS) == 20
    assert len(POLIS.files) == 60
    assert POLIS.divisible
    for file in POLIS.files:
        assert file.url == f"https://raw.githubusercontent.com/compdemocracy/openData/{POLIS.revision}/{file.path}"


def test_real_votes_agree_with_a_reading_by_the_csv_module(real_files, split):
    files = {name: path for name, path in real_files(POLIS).items() if name.startswith("brexit-consensus/")}
    voters, _ = split(polis.read_votes(files))
    with files["brexit-consensus/comments.csv"].open(encoding="utf-8", newline="") as file:
        written = {row["comment-id"]: row for row in csv.DictReader(file)}
    statements = {number: row["comment-body"].strip() for number, row in written.items()}
    assert len(statements) == 50  # none of which is short, a test or rejected
    with files["brexit-consensus/votes.csv"].open(encoding="utf-8", newline="") as file:
        votes = sorted(csv.DictReader(file), key=lambda row: int(row["timestamp"]))
    expected = defaultdict(dict)
    for row in votes:
        statement = written[row["comment-id"]]
        if row["voter-id"] == statement["author-id"] and int(row["timestamp"]) - int(statement["timestamp"]) < 10_000:
            continue
        expected[row["voter-id"]].pop(row["comment-id"], None)
        expected[row["voter-id"]][row["comment-id"]] = {"1": "Agree", "0": "Pass", "-1": "Disagree"}[row["vote"]]
    expected = {f"brexit-consensus/{voter}": given for voter, given in expected.items() if len(given) >= 4}
    read = {name: voter for name, voter in voters.items() if name.startswith("brexit-consensus/")}
    assert read.keys() == expected.keys()
    for name, given in expected.items():
        assert [(draw.input, draw.output) for draw in read[name].draws] == [
            (statements[number], vote) for number, vote in given.items()
        ]


def test_counts_of_the_real_sample(real_files, split):
    files = real_files(POLIS)
    if len(files) != 21 or files["brexit-consensus/votes.csv"].stat().st_size != 106548:
        pytest.skip("the counts were taken by hand on the sample of seven conversations")
    voters, dropped = split(polis.read_votes(files))
    assert len(voters) == 52 + 60 + 60 + 60 + 21 + 60 + 80
    votes = 1474 + 2056 + 3625 + 2280 + 598 + 2728 + 4148
    assert sum(len(voter.draws) for voter in voters.values()) == votes - 322 - 192 - 239
    assert dropped["vote on a dropped statement"] == 322
    assert dropped["vote that was cast for the author together with the statement"] == 192
    assert dropped["vote that the same person cast again later"] == 239
    conversations, dropped = split(polis.read_comments(files))
    assert len(conversations) == 7
    assert dropped["statement that the moderators rejected"] == 264
    assert sum(len(one.draws) for one in conversations.values()) + sum(dropped.values()) == 883
    assert len(conversations["vtaiwan.uberx"].draws) == 119
