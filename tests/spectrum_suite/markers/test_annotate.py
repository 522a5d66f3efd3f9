import numpy as np
import pytest
from datasets import Dataset

from dataset_builder.registry import get_task
from spectrum_suite.errors import UserError
from spectrum_suite.markers.annotate import Annotator, annotate, detected_markers, row_markers
from spectrum_suite.markers.marker_counts import count_markers, marker_report
from spectrum_suite.markers.provenance import task_markers
from spectrum_suite.markers.quality import quality_buckets
from spectrum_suite.markers.taxonomy import Category, Taxonomy

ROWS = [
    {
        "prompt": "Quelle est la capitale ?", "completion": "La capitale est Paris. Elle est belle.",
        "kind": "QuestionAnswering", "score": 3.0,
    },
    {
        "prompt": "Please write a short loop that shows the first three numbers.",
        "completion": "for n in range(3):\n    print(n)",
        "kind": "CodeGeneration", "score": 1.0,
    },
    {"prompt": "Name the colors as JSON.", "completion": '["red", "green"]', "kind": None, "score": None},
]  # fmt: skip


@pytest.fixture
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


def test_rows_get_their_markers(tokenizer):
    annotator = Annotator(tokenizer, {"task": "kind", "quality": "score"}, {"source": "Human"})
    marked = annotate(Dataset.from_list(ROWS), annotator)
    assert marked.column_names == ["prompt", "completion", "kind", "score", "markers"]
    tokens = [len(tokenizer.encode(row["completion"], add_special_tokens=False)) for row in ROWS]
    lengths = {"length_paragraphs": 1, "length_bucket": "concise"}
    assert [row_markers(row) for row in marked] == [
        {
            "quality": 3.0, "quality_bucket": 1, "length_tokens": tokens[0], "length_sentences": 2, **lengths,
            "task": "QuestionAnswering", "source": "Human", "lang": "French",
        },
        {
            "quality": 1.0, "quality_bucket": 1, "length_tokens": tokens[1], "length_sentences": 1, **lengths,
            "task": "CodeGeneration", "code_type": "python", "source": "Human", "lang": "English",
        },
        {
            "length_tokens": tokens[2], "length_sentences": 1, **lengths,
            "format": "JSON", "source": "Human", "lang": "English",
        },
    ]  # fmt: skip


def test_a_second_call_finds_the_first_ones_work(tokenizer, tmp_path):
    Dataset.from_list(ROWS * 10).save_to_disk(tmp_path / "rows")
    files = []
    for _ in range(2):
        marked = annotate(Dataset.load_from_disk(tmp_path / "rows"), Annotator(tokenizer), shards=3)
        files.append(
            [(part["filename"], (tmp_path / part["filename"]).stat().st_mtime_ns) for part in marked.cache_files]
        )
    assert len(files[0]) == 3
    assert files[0] == files[1]


def test_what_is_given_goes_before_what_is_found(tokenizer):
    annotator = Annotator(tokenizer, {"lang": "language"}, {"format": "Markdown"})
    markers = annotator.markers("", "[1]", {"language": "Dutch"})
    assert (markers["lang"], markers["format"]) == ("Dutch", "Markdown")


def test_a_users_category_comes_from_a_column(tokenizer):
    taxonomy = Taxonomy((*Annotator(tokenizer).taxonomy.categories, Category("audience", "choice", ("all", "adults"))))
    rows = Dataset.from_list([{"prompt": "", "completion": "Hello.", "who": "adults"}])
    marked = annotate(rows, Annotator(tokenizer, {"audience": "who"}, taxonomy=taxonomy))
    assert row_markers(marked[0], taxonomy)["audience"] == "adults"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"task": "kinds"}, "no column 'kinds' for marker 'task', did you mean 'kind'"),
        ({"tasks": "kind"}, "no marker 'tasks', did you mean 'task'"),
        ({"domain": "kind"}, "'domain' is 'QuestionAnswering'"),
    ],
)
def test_a_wrong_column_map_is_named(tokenizer, columns, message):
    with pytest.raises(UserError, match=message):
        annotate(Dataset.from_list(ROWS), Annotator(tokenizer, columns))


def test_rows_without_a_prompt_are_refused(tokenizer):
    with pytest.raises(UserError, match="no column 'prompt' to annotate: there are text"):
        annotate(Dataset.from_list([{"text": "x"}]), Annotator(tokenizer))


def test_the_language_of_code_is_that_of_its_prompt():
    assert detected_markers("Scrivi un ciclo in Python, per favore.", "while True:\n    pass")["lang"] == "Italian"
    assert "lang" not in detected_markers("2 + 2", "4")


def test_a_task_of_the_suite_says_where_its_rows_are_from():
    assert task_markers(get_task("coinflip")) == {"source": "Synthetic", "lang": "English"}
    assert task_markers(get_task("polis_vote"))["source"] == "Human"


def test_quartiles_are_those_of_the_language():
    scores = [8, 7, 6, 5, 4, 3, 2, 1, 100, None, 50]
    langs = ["English"] * 8 + ["Greek"] * 3
    assert quality_buckets(scores, langs) == [1, 1, 2, 2, 3, 3, 4, 4, 1, None, 3]
    assert quality_buckets([1, 1, 1, 1], [None] * 4) == [1, 1, 1, 1]
    drawn = np.random.default_rng(0).normal(size=1000).tolist()
    assert np.bincount(quality_buckets(drawn, ["Czech"] * 1000)).tolist() == [0, 250, 250, 250, 250]


def test_the_report_shows_coverage_and_the_long_tail():
    rows = [{"lang": "English", "length_tokens": n} for n in range(30)] + [{"lang": "Greek"}] + [{"lang": None}] * 9
    n_rows, categories = count_markers(rows)
    assert (n_rows, categories["lang"].marked, categories["length_tokens"].marked) == (40, 31, 30)
    assert (categories["lang"].counts, categories["lang"].tail) == ({"English": 30, "Greek": 1}, ("Greek",))
    assert len(categories["lang"].unused) == 21
    assert "| lang | 77.5% | English (30) | Greek (1) |" in marker_report(rows).splitlines()
