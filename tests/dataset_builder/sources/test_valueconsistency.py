import json

import pytest

from dataset_builder.sources.valueconsistency import SLICES, TASKS, VALUECONSISTENCY
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

PATH = "valueconsistency.jsonl"
[TASK] = TASKS
BELLS = "Should bells ring at night?"


def given(controversial, language, country):
    return f'{{"controversial": {controversial}, "language": "{language}", "country": "{country}"}}'


@pytest.fixture
def slices(tmp_path):
    """The files of the repository on GitHub, with an original and a paraphrase each."""
    files = {}
    for number, name in enumerate(SLICES):
        files[name] = tmp_path / name
        files[name].parent.mkdir(exist_ok=True)
        rows = [{"question": f"Bells {number}?", "rephrase": False}, {"question": "Ringing?", "rephrase": 1}]
        files[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def test_originals_are_one_process_and_each_is_drawn_once(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(VALUECONSISTENCY)))
    assert processes["train"].draws == (
        Draw(given("true", "english", "us"), BELLS),
        Draw(given("true", "german", "germany"), "Sollen Glocken nachts läuten?"),
        Draw(given("false", "chinese", "china"), "钟声好听吗？"),
        Draw(given("false", "english", "us"), BELLS),
    )
    assert dropped == {"paraphrase of a question": 1, "question without text": 1, "question that is there already": 1}
    assert (TASK.sequences.mode, TASK.sequences.length.mean) == ("partition", 64)


def test_the_description_tells_of_dispute_language_and_country(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(VALUECONSISTENCY)))
    assert len(processes["train"].descriptions) == 2
    for text in processes["train"].descriptions:
        assert all(word in text for word in ("values", "disp" if "disp" in text else "disagree", "language", "country"))


def test_slices_take_the_fields_from_the_name_of_their_file(slices, split):
    assert len(slices) == 14
    processes, dropped = split(TASK.read(slices))
    draws = processes["train"].draws
    assert len(draws) == 14
    assert draws[9] == Draw(given("true", "japanese", "us"), "Bells 9?")
    assert draws[10] == Draw(given("false", "chinese", "china"), "Bells 10?")
    assert {draw.input for draw in draws} >= {
        given("true", "english", "germany"),
        given("true", "chinese", "us"),
        given("false", "japanese", "japan"),
        given("false", "english", "us"),
    }
    assert len({draw.input for draw in draws}) == 14
    assert dropped == {"paraphrase of a question": 14}


def test_the_merged_file_gives_the_same_rows_in_whatever_order_it_has_the_slices(slices, tmp_path, split):
    of_slices, _ = split(TASK.read(slices))
    merged = []
    for name in reversed(SLICES):
        topics, language, country = name.removeprefix("data/").removesuffix(".jsonl").split("_")
        fields = {"controversial": topics == "controversial", "language": language, "country": country}
        merged += [json.dumps(json.loads(line) | fields) for line in slices[name].read_text().splitlines()]
    elsewhere = {"controversial": True, "language": "french", "country": "france", "question": "Oui?", "rephrase": 0}
    (tmp_path / "merged.jsonl").write_text("\n".join([json.dumps(elsewhere), *merged]) + "\n")
    of_merged, _ = split(TASK.read({PATH: tmp_path / "merged.jsonl"}))
    assert of_merged["train"].draws == (
        *of_slices["train"].draws,
        Draw(given("true", "french", "france"), "Oui?"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"question": "Why?"}', "row 8: there is no 'rephrase'"),
        (b'{"question": null, "rephrase": 0}', "row 8: field 'question' holds None"),
        (b'{"question": "Why?", "rephrase": "no"}', "row 8: field 'rephrase' holds 'no'"),
        (b'{"question": "Why?", "rephrase": 0}', "row 8: there is no 'controversial'"),
        (b'{"question": "Why?", ', "row 8: "),
        (b'{"question": "\xff?", "rephrase": 0}', "row 8: 'utf-8'"),
    ],
)
def test_a_damaged_line_is_named(damaged_files, line, message):
    files = damaged_files(VALUECONSISTENCY)
    with files[PATH].open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(UserError, match=r"valueconsistency\.jsonl") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_a_damaged_slice_is_named(slices):
    slices["data/controversial_english_us.jsonl"].write_text("")
    with pytest.raises(UserError, match=r"controversial_english_us\.jsonl' holds no row"):
        list(TASK.read(slices))


def test_real_rows(real_files, split):
    files = real_files(VALUECONSISTENCY)
    processes, dropped = split(TASK.read(files))
    expected = []
    for name, path in files.items():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        expected += [(name, row["question"].strip()) for row in rows if not row["rephrase"]]
    draws = processes["train"].draws
    assert len(draws) + dropped.get("question that is there already", 0) == len(expected)
    if list(files) != [PATH]:
        originals = {(name.removeprefix("data/").removesuffix(".jsonl"), question) for name, question in expected}
        told = [(json.loads(draw.input), draw.output) for draw in draws]
        assert originals == {
            (f"{'' if row['controversial'] else 'un'}controversial_{row['language']}_{row['country']}", question)
            for row, question in told
        }
