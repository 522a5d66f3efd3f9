"""Tokenizers of several families, small enough to be trained in tests; that of Gemma is the real one."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from spectrum_suite.embedded_model import embedded_model_path

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
GEMMA, CHATML, LLAMA3, MISTRAL, QWEN, PLAIN = "gemma", "chatml", "llama3", "mistral", "qwen", "plain"
DECIDER = "decider"
"""As qwen, with yes and no as one token each, as in large vocabularies."""


def training_text():
    """Prose and code in which lines, paragraphs and sentences end in many ways, in pieces of 1,000 characters.

    The text is a file of its own: were it the repository's, each edit would give the tests other vocabularies, and so
    other models.
    """
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    prose = "".join(f"{line.strip()}.\n\n" for line in text.splitlines() if line.strip())
    whole = "".join([text, prose, "one\n\n" * 50, "Output: 1\n\nOutput: Heads\n\n" * 50])
    return [whole[start : start + 1000] for start in range(0, len(whole), 1000)]


def byte_level(words, digits=None):
    """A splitter by a regular expression in front of byte-level BPE."""
    split = [pre_tokenizers.Split(Regex(words), "isolated")] if words else []
    return pre_tokenizers.Sequence(
        [*split, *(digits or []), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not words)]
    )


def trained_tokenizer(splitter, special, *, end, ignore_merges=False, size=1200, also=(), **named):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator([*training_text(), *also], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, **named)


def llama3_tokenizer():
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = trained_tokenizer(
        byte_level(LLAMA3_WORDS), special, ignore_merges=True, bos_token=special[0], end=special[1]
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A", pair=f"{special[0]} $A {special[0]}:1 $B:1", special_tokens=[(special[0], 0)]
    )
    return tokenizer


def chatml_tokenizer(splitter, **options):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return trained_tokenizer(splitter, special, end=special[2], pad_token=special[0], **options)


def mistral_tokenizer():
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    return trained_tokenizer(
        byte_level(LLAMA3_WORDS), special, bos_token=special[1], unk_token=special[0], end=special[2]
    )


MAKERS = {
    GEMMA: lambda: AutoTokenizer.from_pretrained(embedded_model_path("gemma-3-270m")),
    CHATML: lambda: chatml_tokenizer(byte_level("", [pre_tokenizers.Digits(individual_digits=True)])),
    LLAMA3: llama3_tokenizer,
    MISTRAL: mistral_tokenizer,
    QWEN: lambda: chatml_tokenizer(byte_level(QWEN_WORDS)),
    DECIDER: lambda: chatml_tokenizer(byte_level(QWEN_WORDS), also=["yes\nno\n"] * 1000),
    PLAIN: lambda: trained_tokenizer(byte_level(""), ["<|endoftext|>"], end="<|endoftext|>"),
}
