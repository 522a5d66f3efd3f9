import json

import pytest

from dataset_builder.sources import ambient
from dataset_builder.sources.ambient import AMBIENT, CROWD, LABELS, LINGUISTS, PAIRS
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

TASK = {task.name.removeprefix("ambient_"): task for task in ambient.TASKS}


@pytest.fixture
def read_fixture(fixture_files, split):
    """``read_fixture(task)``: processes and dropped rows of the fixture."""
    return lambda name: split(TASK[name].read(fixture_files(AMBIENT)))


def test_pairs_are_one_process_without_the_empty_one(read_fixture):
    processes, dropped = read_fixture("premise_hypothesis")
    assert list(processes) == ["all"]
    assert processes["all"].draws == (
        Draw(None, '{"premise": "Ada saw the man with the telescope.", "hypothesis": "The man had a telescope."}'),
        Draw(None, '{"premise": "The café opens at nine.", "hypothesis": "The café is closed at eight."}'),
        Draw(None, '{"premise": "Bo left the bank.", "hypothesis": "Bo and Cy or Di were there."}'),
    )
    assert dropped == {"empty premise": 1}


def test_ambiguity_is_two_booleans_under_the_names_of_the_data(read_fixture):
    processes, dropped = read_fixture("ambiguity_detection")
    assert [draw.output for draw in processes["all"].draws] == [
        '{"premise_ambiguous": true, "hypothesis_ambiguous": false}',
        '{"premise_ambiguous": false, "hypothesis_ambiguous": false}',
        '{"premise_ambiguous": true, "hypothesis_ambiguous": true}',
    ]
    assert json.loads(processes["all"].draws[1].input) == {
        "premise": "The café opens at nine.",
        "hypothesis": "The café is closed at eight.",
    }
    assert dropped == {"empty premise": 1}
    assert len(TASK["ambiguity_detection"].options) == 4
    for text in processes["all"].descriptions:
        assert "premise_ambiguous" in text
        assert "hypothesis_ambiguous" in text


def test_every_disambiguation_is_a_draw(read_fixture):
    processes, dropped = read_fixture("disambiguation")
    draws = [(json.loads(draw.input), json.loads(draw.output)) for draw in processes["all"].draws]
    assert [given["target_label"] for given, _ in draws] == ["entailment", "neutral", "neutral"]
    assert draws[1] == (
        {
            "original_premise": "Ada saw the man with the telescope.",
            "original_hypothesis": "The man had a telescope.",
            "target_label": "neutral",
        },
        {
            "disambiguated_premise": "Ada looked through the telescope and saw the man.",
            "disambiguated_hypothesis": "The man had a telescope.",
        },
    )
    assert dropped == {"empty disambiguated_hypothesis": 1}


def test_linguists_keep_all_their_labels_in_one_order(read_fixture):
    processes, dropped = read_fixture("linguist_annotations")
    assert {name: [draw.output for draw in one.draws] for name, one in processes.items()} == {
        "AAA": ["entailment", "entailment|neutral|contradiction"],
        "BBB": ["entailment|neutral", "neutral|contradiction"],
        "CCC": ["neutral", "entailment"],
        "BBB/2": ["neutral"],  # the second label of the same pair
    }
    assert list(processes) == ["AAA", "BBB", "CCC", "BBB/2"]
    assert processes["BBB/2"].draws[0].input == processes["BBB"].draws[1].input
    assert processes["CCC"].draws[1].input == '{"premise": "It rained.", "hypothesis": "It was wet."}'
    assert dropped == {"empty premise": 1}
    assert len(set(TASK["linguist_annotations"].options)) == 7
    for linguist in processes.values():
        texts = [*linguist.descriptions, *(text for draw in linguist.draws for text in draw)]
        assert not any(name in text for name in processes for text in texts)


def test_readings_without_a_label_are_no_draws(read_fixture):
    processes, dropped = read_fixture("interpretation_labels")
    draws = processes["all"].draws
    assert [draw.output for draw in draws] == [
        "entailment", "contradiction", "neutral", "contradiction", "entailment",
    ]  # fmt: skip
    assert json.loads(draws[2].input) == {
        "premise": "Every cook made a soup.",
        "hypothesis": "All made the same soup.",
        "ambiguous_sent": "premise",
        "interpretation": "Each cook made some soup.",
    }
    assert dropped == {"distractor, a reading without a label": 3, "empty interpretation": 1}


def test_votes_on_other_sentences_are_not_pooled_and_percentages_are_rounded(read_fixture):
    processes, dropped = read_fixture("annotation_distributions")
    assert [json.loads(draw.output) for draw in processes["all"].draws] == [
        {"entailment": "5/9 (55.6%)", "neutral": "4/9 (44.4%)", "contradiction": "0/9 (0.0%)"},
        {"entailment": "0/9 (0.0%)", "neutral": "8/9 (88.9%)", "contradiction": "1/9 (11.1%)"},
    ]
    assert json.loads(processes["all"].draws[0].input)["ambiguous_sent"] == "premise"
    assert dropped == {"pair without votes": 1}


def second_round(files, **changes):
    """Adds the first pair of the crowd's file once more, with the same id."""
    first = json.loads(files[CROWD].read_text(encoding="utf-8").splitlines()[0])
    with files[CROWD].open("a", encoding="utf-8") as file:
        file.write(json.dumps(first | changes) + "\n")


def test_a_pair_that_was_given_out_again_stands_once_per_round(damaged_files, split):
    files = damaged_files(AMBIENT)
    second_round(
        files,
        distractor_idx=0,
        labels=[None, "entailment", "contradiction"],
        interpretations=["Bo went to the bank.", "Bo left the riverside.", "Bo left a bench."],
        q0_gold=["contradiction"] * 6 + ["neutral"] * 3,
    )
    processes, dropped = split(TASK["interpretation_labels"].read(files))
    draws = [(json.loads(draw.input)["interpretation"], draw.output) for draw in processes["all"].draws]
    assert draws[:2] + draws[-2:] == [
        ("Bo left the riverside.", "entailment"),
        ("Bo left the bank's office.", "contradiction"),
        ("Bo left the riverside.", "entailment"),
        ("Bo left a bench.", "contradiction"),
    ]
    assert dropped["distractor, a reading without a label"] == 4
    processes, _ = split(TASK["annotation_distributions"].read(files))
    first, *_, last = processes["all"].draws
    assert first.input == last.input
    assert json.loads(first.output)["entailment"] == "5/9 (55.6%)"  # the votes of the rounds are not added up
    assert json.loads(last.output)["contradiction"] == "6/9 (66.7%)"


def test_a_distractor_with_a_label_is_named(damaged_files):
    files = damaged_files(AMBIENT)
    second_round(files, distractor_idx=1)
    with pytest.raises(UserError, match="row 4: the distractor at 1 has the label 'contradiction'"):
        list(TASK["interpretation_labels"].read(files))


@pytest.mark.parametrize("name", TASK)
def test_a_task_reads_one_file_and_is_cut_as_in_the_paper(name):
    task = TASK[name]
    assert len(task.source.files) == 1
    assert (task.source.name, task.split) == (AMBIENT.name, "train")
    assert (task.sequences.mode, task.sequences.length.mean) == ("several", 64)
    assert task.sequences.count == (2 if name == "linguist_annotations" else 50)


@pytest.mark.parametrize(
    ("task", "old", "new", "message"),
    [
        ("premise_hypothesis", '"hypothesis":"Nobody', '"hypothesi":"Nobody', "row 4: there is no 'hypothesis'"),
        ("premise_hypothesis", '"meta":null,"disambiguations":[]}\n{"id":21', '"meta":nu\n{"id":21', "row 2: "),
        ("premise_hypothesis", '"id":17', '"id":null', "row 2: field 'id' holds None"),
        (
            "ambiguity_detection",
            '"premise_ambiguous":false',
            '"premise_ambiguous":"no"',
            "row 2: field 'premise",
        ),
        ("disambiguation", '"label":"neutral"', '"label":"maybe"', "row 1: the label 'maybe' is not one of"),
        ("disambiguation", '{"premise":"Bo left the riverside."', '{"premise":7', "row 3: "),
        (
            "linguist_annotations",
            '["AAA","BBB"]',
            '["AAA"]',
            "row 1: it has 2 annotations by 1 linguists",
        ),
        ("linguist_annotations", "neutral|entailment", "neutral/entailment", "row 1: the linguist 'BBB'"),
        ("linguist_annotations", '["neutral|', '[null,"neutral|', "row 2: it has 4 annotations"),
        ("interpretation_labels", '"labels":["entailment",', '"labels":[', "row 1: it has 2 labels for 3"),
        ("interpretation_labels", '"labels":["entailment",', '"labels":["yes",', "row 1: the label 'yes'"),
        (
            "interpretation_labels",
            '"ambiguous_sent":"hyp',
            '"ambiguous_sent":"sy',
            "row 3: the ambiguous sentence",
        ),
        ("annotation_distributions", '"q0_gold":["neutral"', '"q0_gold":[null', "row 2: the vote None is not one"),
        ("annotation_distributions", '"q0_gold":[]', '"q0_gold":null', "row 3: field 'q0_gold' holds None"),
    ],
)
def test_a_damaged_row_is_named(damaged_files, task, old, new, message):
    files = damaged_files(AMBIENT)
    [path] = [file.path for file in TASK[task].source.files]
    text = files[path].read_text(encoding="utf-8")
    assert old in text
    files[path].write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=path.rsplit("/", 1)[1]) as error:
        list(TASK[task].read(files))
    assert message in str(error.value)


@pytest.mark.parametrize("name", TASK)
def test_a_file_that_repeats_a_row_or_is_no_text_is_named(damaged_files, name):
    files = damaged_files(AMBIENT)
    [path] = [file.path for file in TASK[name].source.files]
    whole = files[path].read_bytes()
    lines = whole.splitlines(keepends=True)
    damages = {
        f"row {len(lines) + 1}: the row with id": whole + lines[0],
        "row 1: ": whole.replace(b'premise":"', b'premise":"\xff', 1),
        "holds no row": b"",
    }
    for message, damaged in damages.items():
        files[path].write_bytes(damaged)
        with pytest.raises(UserError) as error:
            list(TASK[name].read(files))
        assert path in str(error.value)
        assert message in str(error.value)


def real_rows(files, path):
    return [json.loads(line) for line in files[path].read_text(encoding="utf-8").splitlines()]


def test_real_pairs(real_files, split):
    files = real_files(AMBIENT)
    rows = real_rows(files, PAIRS)
    assert len(rows) in {500, 1645}
    processes, dropped = split(TASK["ambiguity_detection"].read(files))
    assert not dropped
    for draw, row in zip(processes["all"].draws, rows, strict=True):
        fields = json.loads(draw.input) | json.loads(draw.output)
        assert fields == {name: row[name] for name in fields}
        assert draw.output in TASK["ambiguity_detection"].options
    processes, _ = split(TASK["disambiguation"].read(files))
    assert len(processes["all"].draws) == {500: 402, 1645: 1207}[len(rows)]


def test_real_linguists(real_files, split):
    files = real_files(AMBIENT)
    rows = real_rows(files, LINGUISTS)
    processes, dropped = split(TASK["linguist_annotations"].read(files))
    answers = sum(len(row["annotations"]) for row in rows)
    linguists = {name.partition("/")[0] for name in processes}
    assert (len(linguists), answers) == {900: (26, 1821), 2020: (28, 4090)}[len(rows)]
    for one in processes.values():
        assert len({draw.input for draw in one.draws}) == len(one.draws)
    assert sum(len(one.draws) for one in processes.values()) == answers
    assert {draw.output for one in processes.values() for draw in one.draws} <= set(
        TASK["linguist_annotations"].options
    )
    assert not dropped


def test_real_crowd(real_files, split):
    files = real_files(AMBIENT)
    rows = real_rows(files, CROWD)
    assert len(rows) in {60, 542}
    processes, dropped = split(TASK["interpretation_labels"].read(files))
    labels = [label for row in rows for label in row["labels"]]
    assert [draw.output for draw in processes["all"].draws] == [label for label in labels if label]
    assert dropped == {"distractor, a reading without a label": labels.count(None)}
    processes, _ = split(TASK["annotation_distributions"].read(files))
    for draw, row in zip(processes["all"].draws, rows, strict=True):
        counts = {label: int(share.split("/")[0]) for label, share in json.loads(draw.output).items()}
        assert counts == {label: row["q0_gold"].count(label) for label in LABELS}
        assert sum(counts.values()) == 9
