"""Texts are repaired in one place, whatever their source; what is not a fault stays as it is."""

import contextlib
import itertools
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from ftfy.badness import is_bad

from dataset_builder import raw
from dataset_builder.build import BuildOptions, build
from dataset_builder.hygiene import EMPTY, SAME, Hygiene
from dataset_builder.registry import all_tasks, get_task
from dataset_builder.suite_builder import read_examples
from dataset_builder.task_spec import Draw, Dropped, Example, Target
from dataset_builder.text_repairs import SameOnceCleanedError, clean

FIXTURES = Path(__file__).parents[2] / "dataset_builder" / "fixtures"
FAULTS = {
    "don\x92t go\x85": "don’t go…",
    "“curly\x94 and \x80 5": "“curly” and € 5",
    "it\x81s": "its",
    "rÃ©sumÃ© of the manâ€™s": "résumé of the man’s",
    "日本 cafÃ©": "日本 café",
    "ÃƒÂ©tÃƒÂ©": "été",
    "a mark â€œthus\x9d\nand a line": "a mark “thus\nand a line",
    "fish &amp; chips &lt; &#39;5&#39; &#x2014; 6&nbsp;pounds": "fish & chips < '5' — 6 pounds",
    "&amp;quot;twice&amp;quot;": '"twice"',
    "one<br />two<BR><br/>three<br>": "one\ntwo\n\nthree",
    "&lt;br /&gt;first": "first",
    "a\r\nb\rc\u2028d": "a\nb\nc\nd",
    "two  blanks.   And\t  more \xa0of": "two blanks. And more of",
    "ends  \nhere": "ends\nhere",
    "bell\x07 \x1b[31mred\x1b[0m \ufeffmark": "bell red mark",
    "\ud83d\ude00 and \ud83d": "\U0001f600 and \ufffd",
    "write to Bob.O'Neil+x@mail.corp.co.uk, please": "write to email@example.com, please",
    "请联系abc@qq.com谢谢, иван@почта.рф": "请联系email@example.com谢谢, email@example.com",
    "A. x  y\nB. zzz  w": "A. x y\nB. zzz w",
}
INTACT = [
    "if a < b and b > c, then a <b> c; x&y; 3 && 4; AT&T; R&D; Q&A;",
    "MAÇÃ VERDE, IRMÃ E MANHÃ; São Paulo; NÃO",
    "l’été à Noël «ça» — œuvre, 5£ – 10°, x² ± ½",
    "Đà Nẵng, Tp. Hồ Chí Minh; ÄÖÜ ß; Привет мир; αβγ; שלום; مرحبا; 日本語のテキスト。",
    "« mot\xa0» : dix\u202f%",
    "def f(x):\n    if x:\n        return x\n\n    return None",
    "Name    Age\nBob      30\nAnn       5",
    "A\tB\tC\n1\t\t3\n\t5\t6",
    "| a   | b |\n|-----|---|\n| x   | y |",
    "Use the `<br>` tag or `&amp;`:\n```html\n<p>a &lt;  b<br /></p>\n```",
    "at 5@10, @user and me@home, a@example.org",
    r"\frac{a}{b} \rightarrow \beta",
    '{"name": "A&B", "x": 1}',
]


@pytest.mark.parametrize(("text", "repaired"), FAULTS.items())
def test_a_fault_is_repaired_for_good(text, repaired):
    new, repairs = clean(text)
    assert new == repaired
    assert repairs
    assert clean(new) == (new, ())


@pytest.mark.parametrize("text", INTACT)
def test_what_is_not_a_fault_stays(text):
    assert clean(text) == (text, ())


@pytest.mark.parametrize("written", [{}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_the_values_of_json_are_repaired_and_not_its_notation(written):
    given = {
        "post": "a<br />b &quot;x&quot;\r\n and  more",
        "tags": ["R&amp;B", 1, None],
        "people": [{"job": "x\x92s"}],
    }
    repaired = {"post": 'a\nb "x"\n and more', "tags": ["R&B", 1, None], "people": [{"job": "x’s"}]}
    for before, after in (("", ""), ("The  person: ", "The person: ")):
        new, repairs = clean(before + json.dumps(given, **written))
        assert new == after + json.dumps(repaired, **written)
        assert {"HTML entities", "HTML line breaks", "line endings", "C1 control characters"} <= set(repairs)


def examples(*items):
    hygiene = Hygiene()
    return list(hygiene.examples(items)), hygiene.counts


def test_every_text_of_an_example_is_cleaned_alike_and_counted_once_for_its_process():
    text = "R&amp;B  \x96 ok"
    draws = Example("p", (text,), (Draw(text, text), Draw(None, text), Draw("plain", "too")))
    prompt = Example("q", (text,), target=Target(text, (text, "other"), (0.5, 0.5)))
    listed = Example("r", (), (Draw(None, text),), valid=(text, "other"))
    closed = Example("s", (), (Draw("1", text), Draw("2", "no")), options=((text, "x"), ("no", text)))
    new = "R&B – ok"
    found, counts = examples(draws, Dropped("why"), prompt, listed, closed)
    assert found == [
        Example("p", (new,), (Draw(new, new), Draw(None, new), Draw("plain", "too"))),
        Dropped("why"),
        Example("q", (new,), target=Target(new, (new, "other"), (0.5, 0.5))),
        Example("r", (), (Draw(None, new),), valid=(new, "other")),
        Example("s", (), (Draw("1", new), Draw("2", "no")), options=((new, "x"), ("no", new))),
    ]
    assert counts == Counter({"HTML entities": 4, "C1 control characters": 4, "runs of blanks": 4})


def test_answers_that_would_become_the_same_are_never_merged():
    target = Example("q", target=Target(None, ("a  b", "a b"), (0.5, 0.5)))
    options = Example("p", (), (Draw('{"options": ["a  b", "a b"]}', "a b"), Draw(None, "kept")))
    each = Example("r", (), (Draw("1", "a b"), Draw("2", "x")), options=(("a b", "a  b"), ("x",)))
    letters = Example("t", (), (Draw("Which?\r\nA. a  b\r\nB. a b\r\nC. c", "A"), Draw("Q\r\nA. a\r\nB. b", "B")))
    for_all = Example("s", (), (Draw("1", "a b"),), options=(("a b", "a  b"),))
    found, _ = examples(target, options, each, for_all, letters)
    assert found == [
        Dropped(SAME),
        Dropped(SAME),
        Example("p", (), (Draw(None, "kept"),)),
        Dropped(SAME),
        Example("r", (), (Draw("2", "x"),), options=(("x",),)),
        Dropped(SAME),
        Dropped(SAME),
        Example("t", (), (Draw("Q\nA. a\nB. b", "B"),)),
    ]


def test_a_text_of_which_nothing_is_left_is_dropped():
    found, _ = examples(Example("p", ("<br />",), (Draw("&nbsp;", "x"), Draw("x", "<br />"), Draw("x", "y"))))
    assert found == [Dropped(EMPTY), Dropped(EMPTY), Example("p", (), (Draw("x", "y"),))]


def test_what_is_remembered_of_texts_changes_no_result(monkeypatch):
    people = [Example(f"p{n}", (), (Draw("a  b", f"x  {n}"), Draw(f"q {n}", "a  b"))) for n in range(6)]
    expected, counts = examples(*people)
    monkeypatch.setattr("dataset_builder.hygiene._REMEMBERED", 2)
    assert examples(*people) == (expected, counts)
    assert counts == {"runs of blanks": 12}
    assert expected[3].draws == (Draw("a b", "x 3"), Draw("q 3", "a b"))


def test_usual_punctuation_alone_is_never_taken_for_mojibake():
    rng, signs = random.Random(0), [*map(chr, range(128)), *"‘’“”…–—" * 8]
    for _ in range(2_000):
        assert not is_bad("".join(rng.choices(signs, k=60)))


def test_repairs_of_anything_leave_nothing_to_repair():
    rng = random.Random(0)
    pieces = [
        *FAULTS,
        *INTACT,
        "&#13;",
        "&lt;",
        "br",
        "/>",
        "\x81",
        "Ã",
        "â€™",
        " ",
        "  ",
        "\xa0",
        "\n",
        "`",
        '{"a": "',
        '"}',
    ]
    for _ in range(3_000):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 5))).strip()
        with contextlib.suppress(SameOnceCleanedError):
            new, _ = clean(text)
            assert clean(new) == (new, ()), ascii(text)


def test_an_example_without_faults_is_passed_on_as_it_is():
    example = Example("p", ("An été.",), (Draw(None, "été"),))
    [found], counts = examples(example)
    assert found is example
    assert not counts


PLACES = {
    "gsm8k_question": "Ada buys 3 pens at $2 each.",
    "imdb": "The plot left before I did.",
    "jeopardy_question_generation": "It flows through the town of",
    "lewidi_mp_irony_detection_individual": "The bus is late again.",
}
"""Task -> a part of its fixture: of JSON lines, a text file, CSV and one JSON object."""


@pytest.mark.parametrize("task", PLACES)
def test_faults_of_raw_files_are_in_no_row_and_counted(tmp_path, task):
    faulty = "It\x92s R&amp;D  by rÃ©my@corp.example.org &lt; me@corp.org<br />"
    folder = shutil.copytree(FIXTURES / get_task(task).source.folder, tmp_path / get_task(task).source.folder)
    for path in filter(Path.is_file, folder.rglob("*")):
        path.write_bytes(path.read_bytes().replace(PLACES[task].encode(), (faulty + "ok").encode()))
    report = build([task], BuildOptions(tmp_path / "suite", sources_dir=tmp_path, allow_missing=True))
    [path] = (tmp_path / "suite" / task).iterdir()
    texts = [message["content"] for row in pq.read_table(path).to_pylist() for message in row["messages"]]
    repaired = "It’s R&D by rémy@corp.example.org < email@example.com\nok"
    assert any(repaired in text or json.dumps(repaired, ensure_ascii=False)[1:-1] in text for text in texts)
    assert all(clean(text)[0] == text for text in texts)
    assert report["tasks"][task]["cleaned"].keys() >= {
        "C1 control characters", "HTML entities", "HTML line breaks", "runs of blanks", "mojibake", "e-mail addresses",
    }  # fmt: skip


def test_half_an_emoji_of_a_raw_file_is_repaired(tmp_path):
    folder = shutil.copytree(FIXTURES / "gsm8k", tmp_path / "gsm8k")
    for path in folder.rglob("*.jsonl"):
        path.write_text(path.read_text().replace("Ada buys 3 pens", "Ada \\ud83d buys 3 \\ud83d\\ude00"))
    build(["gsm8k_question"], BuildOptions(tmp_path / "suite", sources_dir=tmp_path))
    [path] = (tmp_path / "suite" / "gsm8k_question").iterdir()
    texts = [message["content"] for row in pq.read_table(path).to_pylist() for message in row["messages"]]
    assert any("Ada \ufffd buys 3 \U0001f600 at" in text for text in texts)


@pytest.mark.parametrize("verbatim", ["", "code"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "escaped", "json", "text"])
def test_an_ellipsis_that_looks_like_white_space_is_not_stripped(tmp_path, kind, verbatim):
    """U+0085 is Windows-1252's ellipsis and white space to Python: readers that strip texts must not lose it."""
    path, text = tmp_path / "file", "so it goes\x85"
    if kind == "csv":
        path.write_text(f"text,n\n{text},1\n", encoding="utf-8")
    elif kind == "parquet":
        pl.DataFrame({"text": [text], "n": [1]}).write_parquet(path)
    elif kind == "text":
        path.write_text(text, encoding="utf-8")
    else:
        path.write_text(json.dumps({"text": text}, ensure_ascii=kind == "escaped"), encoding="utf-8")

    def texts(files):
        if kind in ("csv", "parquet"):
            return getattr(raw, f"read_{kind}")(path, {"text": pl.String, "n": pl.Int64})["text"].to_list()
        if kind == "json":
            return [raw.read_json(path)["text"]]
        if kind == "text":
            return [raw.read_text(path)]
        return [row["text"] for _, row in raw.read_json_lines(path, {"text": str})]

    def read(files):
        given = (json.dumps({"a": text}, ensure_ascii=False) for text in texts(files))
        yield Example(
            "p", (), tuple(Draw(given, text.strip()) for given, text in zip(given, texts(files), strict=True))
        )

    spec = replace(get_task("gsm8k_question"), read=read, verbatim=verbatim)
    [example] = read_examples(spec, {}, 42)
    if verbatim:  # nothing but the white space around it is taken from a text
        assert example.draws == (Draw('{"a": "so it goes\x85"}', "so it goes"),)
    else:
        assert example.draws == (Draw('{"a": "so it goes…"}', "so it goes…"),)


def test_a_task_whose_texts_count_sign_by_sign_is_left_as_it_is():
    text = "x  = '&lt;'\r\nprint(x)"

    def read(files):
        yield Example("p", (), (Draw(None, text), Draw(None, text)))

    spec = get_task("bare_lcb")
    assert "every sign" in spec.verbatim
    counts = Counter()
    [example] = read_examples(replace(spec, read=read), {}, 42, counts)
    assert [draw.output for draw in example.draws] == [text, text]
    assert not counts
    [example] = read_examples(replace(spec, read=read, verbatim=""), {}, 42, counts)
    assert counts == {"HTML entities": 1, "line endings": 1, "runs of blanks": 1}


@pytest.mark.parametrize("spec", [spec for spec in all_tasks() if spec.generate], ids=lambda spec: spec.name)
def test_what_the_builder_writes_itself_is_clean(spec):
    made_up = {"cov_basic_emails", "cov_professional_emails"}  # addresses of nobody are what these are about
    for example in itertools.islice(read_examples(spec, {}, 42), 20):
        [again] = Hygiene().examples([example])
        assert again == example or spec.name in made_up


def test_closed_answers_are_clean_themselves():
    for spec in all_tasks():
        for option in spec.options or ():
            assert clean(option)[0] == option, spec.name
