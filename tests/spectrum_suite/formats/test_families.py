"""Tokenizers set up as families have them: every format works or says in one line why not, and nothing crashes."""

from copy import deepcopy

import pytest
from datasets import Dataset
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from spectrum_suite import option_table, sample
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.steerability.score_steerability import formats_of
from spectrum_suite.formats.tags import ALL_FORMATS, find_format
from spectrum_suite.generation.logprobs import prompt_token_ids
from spectrum_suite.generation.output_logprobs import output_logprobs, tokenize_sequences
from spectrum_suite.generation.respond import respond
from spectrum_suite.generation.rule_adapter import Rules
from spectrum_suite.generation.sample import rule_adapter
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from spectrum_suite.training.tokens import line_breaks, turn_token_ids
from tests.small_tokenizers import LLAMA3_WORDS, QWEN_WORDS, byte_level, trained_tokenizer, training_text
from tests.spectrum_suite.formats.sentencepiece_tokenizers import sentencepiece_tokenizer
from tests.tiny_models import tiny_model

MESSAGES = [
    {"role": "description", "content": "A coin is tossed."},
    {"role": "output", "content": "Heads"},
    {"role": "input", "content": "again"},
    {"role": "output", "content": "Tails"},
]


def added(tokenizer, *special, **options):
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True, **options) for token in special])
    return tokenizer


def with_bos(tokenizer, *, end=False):
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in dict.fromkeys((bos, eos))]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A" + (f" {eos}" if end else ""), special_tokens=ids
    )
    return tokenizer


def bytes_of(words, special, *, bos=None, eos=None, pad=None):
    return trained_tokenizer(byte_level(words), list(special), end=eos, bos_token=bos, pad_token=pad)


WORDPIECE = {"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": "[CLS]", "eos_token": "[SEP]"}


def words_only(*, lowercase):
    """A WordPiece of lower case, or words, that keeps neither blanks nor line breaks."""
    backend = Tokenizer(models.WordPiece(unk_token=WORDPIECE["unk_token"]))
    backend.normalizer = normalizers.Lowercase() if lowercase else None
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=800, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"], show_progress=False
    )
    backend.train_from_iterator(training_text()[::10], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **WORDPIECE)


def prefixed(words):
    tokenizer = bytes_of(words, ["<|endoftext|>"], bos="<|endoftext|>", eos="<|endoftext|>")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def lowercased():
    tokenizer = bytes_of(LLAMA3_WORDS, ["</s>"], eos="</s>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


def left_padded(folder):
    tokenizer = sentencepiece_tokenizer("first", folder, turns=True)
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    return tokenizer


PHI3 = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>")
FAMILIES = {
    "llama 2": lambda folder: sentencepiece_tokenizer("prepend", folder),
    "mistral v1": lambda folder: sentencepiece_tokenizer("always", folder),
    "mistral v3": lambda folder: added(sentencepiece_tokenizer("first", folder), "[INST]", "[/INST]"),
    "mistral v3 legacy": lambda folder: added(sentencepiece_tokenizer("prepend", folder), "[INST]", "[/INST]"),
    "tekken": lambda folder: with_bos(
        bytes_of(LLAMA3_WORDS, ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], bos="<s>", eos="</s>")
    ),
    "phi-3": lambda folder: added(sentencepiece_tokenizer("prepend", folder), *PHI3, rstrip=True),
    "phi-3 with chatml": lambda folder: added(
        sentencepiece_tokenizer("first", folder), "<|im_start|>", "<|im_end|>", rstrip=True
    ),
    "gemma 2": lambda folder: added(sentencepiece_tokenizer("never", folder), "<start_of_turn>", "<end_of_turn>"),
    "qwen3": lambda folder: bytes_of(
        QWEN_WORDS, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], eos="<|im_end|>", pad="<|endoftext|>"
    ),
    "gpt-oss": lambda folder: bytes_of(
        LLAMA3_WORDS, ["<|startoftext|>", "<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"],
        bos="<|startoftext|>", eos="<|return|>",
    ),
    "olmo-2": lambda folder: bytes_of(
        LLAMA3_WORDS, ["<|endoftext|>", "<|pad|>"], bos="<|endoftext|>", eos="<|endoftext|>", pad="<|pad|>"
    ),
    "falcon": lambda folder: bytes_of("", ["<|endoftext|>", ">>TITLE<<"], eos="<|endoftext|>"),
    "gpt-2": lambda folder: bytes_of("", ["<|endoftext|>"], bos="<|endoftext|>", eos="<|endoftext|>"),
    "deepseek": lambda folder: with_bos(
        bytes_of(
            LLAMA3_WORDS, ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
            bos="<｜begin▁of▁sentence｜>", eos="<｜end▁of▁sentence｜>",
        )
    ),
    "no special token at all": lambda folder: bytes_of(LLAMA3_WORDS, []),
    "bos is eos and ends texts": lambda folder: with_bos(
        bytes_of(LLAMA3_WORDS, ["<|e|>"], bos="<|e|>", eos="<|e|>"), end=True
    ),
    "padded on the left": left_padded,
    "prefix space": lambda folder: prefixed(""),
    "t5": lambda folder: sentencepiece_tokenizer("t5", folder),
    "unigram": lambda folder: sentencepiece_tokenizer("unigram always", folder),
    "sentencepiece itself": lambda folder: sentencepiece_tokenizer("slow", folder),
    "lower case": lambda folder: lowercased(),
    "wordpiece": lambda folder: words_only(lowercase=False),
    "uncased wordpiece": lambda folder: words_only(lowercase=True),
}  # fmt: skip
BLANK = "format 'colon' ends outputs with a blank line, which this tokenizer does not keep"
REFUSED = {
    ("t5", "colon"): BLANK, ("wordpiece", "colon"): BLANK, ("uncased wordpiece", "colon"): BLANK,
    ("no special token at all", "tags"): "which this tokenizer lacks",
    ("no special token at all", "meaningless_tags"): "which this tokenizer lacks",
}  # fmt: skip
TURNS = ("mistral v3", "mistral v3 legacy", "tekken", "phi-3 with chatml", "gemma 2", "qwen3", "padded on the left")


@pytest.fixture(scope="module")
def family_of(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = FAMILIES[name](tmp_path_factory.mktemp("model"))
        return deepcopy(made[name])

    return get


def expected_refusal(kind, name):
    if name == "model_chat":
        return "needs a chat template, which this tokenizer lacks"
    if name in ("spectrum", "chat") and kind not in TURNS:
        return "needs turn tokens"
    if name == "chat" and (kind.startswith("mistral") or kind == "tekken"):
        return "is not written for mistral models"
    return REFUSED.get((kind, name))


PAIRS = [(kind, name) for kind in FAMILIES for name in ALL_FORMATS]


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if expected_refusal(*pair)])
def test_what_does_not_work_says_why(family_of, kind, name):
    tokenizer = family_of(kind)
    with pytest.raises(UserError, match=expected_refusal(kind, name)) as error:
        prompt_token_ids(tokenizer, [MESSAGES], find_format(name, tokenizer))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if not expected_refusal(*pair)])
def test_everything_else_works(family_of, kind, name):
    tokenizer = family_of(kind)
    text_format = find_format(name, tokenizer)
    rows, _ = tokenize_rows(
        Dataset.from_list([{"id": "r", "messages": MESSAGES}] * 2), tokenizer, text_format, max_length=300
    )
    for dropout in (0.0, 1.0):
        collator = SpectrumCollator.for_format(
            text_format, tokenizer, max_length=300, description_dropout=dropout, permute=False
        )
        batch = collator(list(rows))
        assert batch["input_ids"].max() < len(tokenizer)
        seen = MESSAGES[1:] if dropout else MESSAGES
        (scored,) = tokenize_sequences(tokenizer, [seen], text_format)
        assert batch["input_ids"][0].tolist()[: len(scored.ids)] == list(scored.ids)
        (prompt,) = prompt_token_ids(tokenizer, [seen[:-1]], text_format)
        assert scored.ids[: scored.outputs[-1][0]] == prompt
    assert set(line_breaks(tokenizer, text_format)) == set(turn_token_ids(tokenizer, text_format))


@pytest.mark.parametrize("kind", FAMILIES)
def test_models_are_scored_sampled_and_answer(family_of, kind):
    tokenizer = family_of(kind)
    name = "tags" if (kind, "colon") in REFUSED else "auto"
    text_format = find_format(name, tokenizer)
    model = tiny_model("llama", len(tokenizer))
    (found,) = output_logprobs(model, tokenizer, [MESSAGES], options=["Heads", "Tails"], text_format=text_format)
    assert found.options.isfinite().all()
    table = option_table(model, tokenizer, MESSAGES[:3], ["Heads", "Tails"], text_format=text_format)
    assert 0 < table.mass < 1
    sample(model, tokenizer, [MESSAGES[:3]], 2, text_format=text_format, max_new_tokens=3, seed=1)
    respond(model, tokenizer, [MESSAGES[:1], MESSAGES[:3]], text_format=text_format, max_new_tokens=3)


@pytest.mark.parametrize("kind", FAMILIES)
def test_strings_begin_and_end_with_what_they_should(family_of, kind):
    tokenizer = family_of(kind)
    (ids,) = prompt_token_ids(tokenizer, ["The coin shows"])
    alone = tokenizer("The coin shows", add_special_tokens=False).input_ids
    whole = tokenizer("The coin shows").input_ids
    assert list(ids) == whole[: len(whole) - (whole[-1] != alone[-1])]
    assert list(ids)[-len(alone) :] == alone


@pytest.mark.parametrize("kind", FAMILIES)
def test_steerability_compares_in_the_formats_that_a_family_has(family_of, kind):
    tokenizer = family_of(kind)
    names = [text_format.name for _, text_format in formats_of(tokenizer)]
    assert names == [name for name in ("spectrum", "colon", "chat") if not expected_refusal(kind, name)]


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_rules_work_or_say_why_not(family_of, kind):
    tokenizer = family_of(kind)
    model = tiny_model("llama", len(tokenizer))
    model.generation_config.eos_token_id = None
    if tokenizer.eos_token is None:
        with pytest.raises(UserError, match="the rule about the end needs a token that ends a response"):
            rule_adapter(model, tokenizer, None, Rules())
    else:
        rule_adapter(model, tokenizer, None, Rules())


@pytest.mark.parametrize(("kind", "changed"), [("lower case", True), ("qwen3", False), ("llama 2", False)])
def test_a_tokenizer_that_changes_texts_is_told_of_once(family_of, caplog, kind, changed):
    tokenizer = family_of(kind)
    for _ in range(3):
        prompt_token_ids(tokenizer, [MESSAGES], find_format("colon", tokenizer))
    assert caplog.text.count("this tokenizer does not keep texts as they are") == changed


def test_rstrip_swallows_what_it_swallows_in_the_whole_text(family_of):
    """Phi-3's tokens take the line break after them, so the text that follows stands right behind a special token."""
    tokenizer = family_of("phi-3 with chatml")
    text_format = find_format("spectrum", tokenizer)
    whole = tokenizer.apply_chat_template(
        MESSAGES, chat_template=text_format.chat_template(), add_generation_prompt=True, return_dict=False
    )
    assert prompt_token_ids(tokenizer, [MESSAGES], text_format) == [tuple(whole)]
