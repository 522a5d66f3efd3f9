import json

import pytest

from dataset_builder.sequences import cut
from dataset_builder.sources import haikus
from dataset_builder.sources.haikus import HAIKUS, TASKS, Poem
from dataset_builder.task_spec import Draw
from spectrum_suite.errors import UserError

[TASK] = TASKS
PATH = "input/poems/haikus.csv"
HEADER = "0,1,2,source,0_syllables,1_syllables,2_syllables\n"
FROST = "frost on the hour hand\na fire that nobody lit\nwaits for the morning"
LADDER = "old ladder -\nleaning, still\non the garden wall"
CHAIR = "a café chair\nsnow keeps the warm seat\nuntil spring"
JARS = "jars of plums\none summer to a shelf\ndust on each"
STEP = "the last step\nis lower\nthan the others"


def test_three_variants_of_each_collection(fixture_files, split):
    processes, dropped = split(TASK.read(fixture_files(HAIKUS)))
    assert list(processes) == [
        "attic/syllables", "cellar/syllables", "attic/include_word", "cellar/include_word", "all/poem"
    ]  # fmt: skip
    assert processes["attic/syllables"].draws == (
        Draw("5 or 6, 7, 5", FROST),
        Draw("3, 3, 5 or 6", LADDER),
        Draw("3 or 4, 5, 3", CHAIR),
    )
    assert processes["cellar/syllables"].draws == (Draw("3, 6, 3", JARS), Draw("3, 3, 4", STEP))
    assert processes["all/poem"].draws == tuple(Draw(None, poem) for poem in (FROST, LADDER, CHAIR, JARS, STEP))
    assert dropped == {
        "poem with an empty line, or without words, syllables or collection": 3,
        "poem that came before": 1,
    }


def test_the_word_to_include_occurs_in_the_poem(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(HAIKUS)))
    given = [json.loads(draw.input) for draw in processes["attic/include_word"].draws]
    assert [list(fields) for fields in given] == [["include_word", "syllables"]] * 3
    assert [fields["syllables"] for fields in given] == ["5 or 6, 7, 5", "3, 3, 5 or 6", "3 or 4, 5, 3"]
    for fields, poem in zip(given, (FROST, LADDER, CHAIR), strict=True):
        assert fields["include_word"] in poem.replace(",", "").split()
    assert "-" not in {fields["include_word"] for fields in given}


def test_the_word_to_include_depends_on_the_poem_alone(fixture_files, damaged_files, split):
    files = damaged_files(HAIKUS)
    rows = files[PATH].read_text().splitlines()
    files[PATH].write_text("\n".join([rows[0], *reversed(rows[1:4])]) + "\n")
    draws = split(TASK.read(files))[0]["attic/include_word"].draws
    assert draws == tuple(reversed(split(TASK.read(fixture_files(HAIKUS)))[0]["attic/include_word"].draws))
    # A known value: neither Python's hash() nor a generator decides.
    assert Poem("a b c d e f g h", "attic", "8").draw("include_word").input == '{"include_word": "c", "syllables": "8"}'


def test_a_variant_has_at_most_so_many_sequences(damaged_files, split, monkeypatch):
    files = damaged_files(HAIKUS)
    rows = [f"line {n} of a,poem in,collection {n % 3},c{n % 3},1,1,1\n" for n in range(900)]
    files[PATH].write_text(HEADER + "".join(rows))
    monkeypatch.setattr(haikus, "_MAX_SEQUENCES", 6)
    processes, dropped = split(TASK.read(files))
    assert dropped == {
        "poem beyond those of the variant syllables": 900 - 3 * 64,
        "poem beyond those of the variant include_word": 900 - 3 * 64,
        "poem beyond those of the variant poem": 900 - 5 * 64,
    }
    sequences = {
        process: sum(1 for _ in cut(len(example.draws), TASK.sequences, 1, process))
        for process, example in processes.items()
    }
    for variant in ("syllables", "include_word", "poem"):
        assert 4 <= sum(count for process, count in sequences.items() if process.endswith(f"/{variant}")) <= 6
    assert len(processes["all/poem"].draws) == 5 * 64
    texts = {process: {draw.output for draw in example.draws} for process, example in processes.items()}
    assert texts["c0/syllables"] != texts["c0/include_word"]  # each variant has a sample of its own


def test_descriptions_say_what_the_poem_depends_on(fixture_files, split):
    processes, _ = split(TASK.read(fixture_files(HAIKUS)))
    assert "poem ~ syllables" in processes["cellar/syllables"].descriptions[0]
    assert "poem ~ include_word + syllables" in processes["cellar/include_word"].descriptions[0]
    assert not any("syllable" in text for text in processes["all/poem"].descriptions)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (HEADER + "a,b,c,attic,__import__('os').getpid(),1,1\n", "row 1: "),
        (HEADER + "a,b,c,attic,1,1,1\nd,e,f,attic,1,one,1\n", "row 2: "),
        (HEADER + "a,b,c,attic,1,1,1\nd,e,f,att", "row 2: it has 4 fields where 7 are expected"),
        (HEADER.replace("source", "origin") + "a,b,c,attic,1,1,1\n", "lacks a column"),
        (HEADER, "holds no row"),
        ("", "haikus.csv"),
        ((HEADER + "é,b,c,attic,1,1,1\n").encode("latin-1"), "haikus.csv"),
    ],
)
def test_a_damaged_file_is_named(damaged_files, rows, message):
    files = damaged_files(HAIKUS)
    files[PATH].write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    with pytest.raises(UserError, match=r"haikus\.csv") as error:
        list(TASK.read(files))
    assert message in str(error.value)


def test_real_rows(real_files, split):
    files = real_files(HAIKUS)
    processes, _ = split(TASK.read(files))
    poems = len(processes["all/poem"].draws)
    assert poems >= 160
    sizes = {process: len(example.draws) for process, example in processes.items() if process != "all/poem"}
    assert {process.partition("/")[0] for process in sizes} >= {"tempslibres", "img2poems", "sballas", "haikuzao"}
    if poems == 160:  # the sample
        assert set(sizes.values()) == {40}
    assert (
        Draw("2 or 3, 5, 5", "spring rain -\nas the doctor speaks\ni think of lilacs")
        in processes["tempslibres/syllables"].draws
        or poems > 160
    )
