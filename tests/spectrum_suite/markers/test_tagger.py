import pytest
import torch
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.lm.base import OptionScores
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.markers.annotate import Annotator, annotate, row_markers
from spectrum_suite.markers.tagger import NOTHING, SHOTS, TAGGED, Tagger, question, tag_rows
from spectrum_suite.markers.taxonomy import TAXONOMY
from tests.tiny_models import tiny_model

EXAMPLES = [("What is a bond?", "A loan to a state or company: finance."), ("Sing!", "La la la: culture.")]


class WordScorer:
    """Prefers the option that the last lines of the prompt name in lower case; counts the questions."""

    def __init__(self):
        self.asked = []

    def option_logprobs(self, prompts, options):
        self.asked += prompts
        return [
            OptionScores(torch.tensor([float(self.prefers(option, prompt)) for option in texts]), ())
            for prompt, texts in zip(prompts, options, strict=True)
        ]

    def prefers(self, option, prompt):
        return option.strip().lower() in prompt[-80:]


def test_the_likeliest_valid_value_is_taken():
    assert Tagger(WordScorer(), "words").tag("domain", EXAMPLES) == ["Finance", "Culture"]


def test_an_answer_is_asked_for_once(tmp_path):
    cache = tmp_path / "new" / "tags.jsonl"
    first, second, other, again = (WordScorer() for _ in range(4))
    found = Tagger(first, "words", cache=cache, batch_size=1).tag("domain", EXAMPLES * 2)
    assert len(first.asked) == 2
    with cache.open("a") as file:
        file.write('{"key": "cut sho')
    assert Tagger(second, "words", cache=cache).tag("domain", EXAMPLES * 2) == found
    assert second.asked == []
    Tagger(other, "another model", cache=cache).tag("domain", EXAMPLES)
    assert len(other.asked) == 2
    Tagger(again, "another model", cache=cache).tag("domain", EXAMPLES)
    assert again.asked == []  # what was written after half a line is read


def test_a_format_can_be_none_of_them():
    class SaysNone(WordScorer):
        def prefers(self, option, prompt):
            return option == f" {NOTHING}"

    tagger = Tagger(SaysNone(), "says none")
    assert tagger.tag("format", EXAMPLES) == [None, None]


def test_the_question_has_every_value_and_examples_with_valid_tags():
    for name in TAGGED:
        text = question(TAXONOMY[name], "x" * 5000, "y")
        assert all(f"- {value}: " in text for value in TAXONOMY[name].values)
        assert text.endswith(f"\nanswer: y\n{name}:")
        assert len(text) < 4000
        assert all(shot.tags[name] in (*TAXONOMY[name].values, NOTHING) for shot in SHOTS)


def test_numbers_cannot_be_tagged():
    with pytest.raises(UserError, match="'quality' has no values to choose from"):
        Tagger(WordScorer(), "words").tag("quality", EXAMPLES)


def test_any_causal_model_tags_what_is_not_known(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    model = tiny_model("llama", len(tokenizer))
    model.config.max_position_embeddings = 4000
    rows = Dataset.from_list(
        [{"prompt": "Two numbers?", "completion": "[1, 2]"}, {"prompt": "Hi", "completion": "Hello there."}]
    )
    annotated = annotate(rows, Annotator(tokenizer, fixed={"task": "OpenEnded"}))
    tagged = tag_rows(annotated, Tagger(LocalLM.of(model, tokenizer), "tiny"))
    assert (tagged.column_names, tagged.features) == (annotated.column_names, annotated.features)
    first, second = map(row_markers, tagged)
    assert (first["format"], first["task"], second["task"]) == ("JSON", "OpenEnded", "OpenEnded")
    assert {first["domain"], second["domain"]} <= set(TAXONOMY["domain"].values)
