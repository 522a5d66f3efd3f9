"""Real SentencePiece models, trained here, in the layouts of Llama 2, Mistral, Gemma's cousins, T5 and GPT-SW3."""

import functools
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import models, normalizers
from transformers import GPTSw3Tokenizer, LlamaTokenizer, T5Tokenizer
from transformers.convert_slow_tokenizer import generate_merges

from tests.small_tokenizers import training_text

TURNS = ["<|im_start|>", "<|im_end|>"]
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
LAYOUTS = (
    "prepend", "first", "always", "never", "unigram prepend", "unigram first", "unigram always", "slow", "slow never",
)  # fmt: skip
"""Llama 2's normalizer, the three ways of `Metaspace` (Mistral 0.3 is the first, old Llamas are the second, Gemma the
last), some of them with a unigram model, and the library itself with its space in front of a text and without."""


@functools.cache
def trained_model(kind, **options):
    """The bytes of a model of this kind, ``bpe`` or ``unigram``, that keeps every character."""
    kept = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
    lines = [line for text in training_text()[::4] for line in text.split("\n") if line.strip()]
    lines += ["Output: Heads", "Output: Tails", "It is Heads.", "It is Tails."] * 50
    with tempfile.TemporaryDirectory() as folder:
        prefix = str(Path(folder) / "model")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=prefix, model_type=kind, vocab_size=1200, minloglevel=2,
            hard_vocab_limit=False, num_threads=1, **(kept | options),
        )  # fmt: skip
        return Path(f"{prefix}.model").read_bytes()


def pieces_of(model):
    """[(piece, score)] of a model."""
    loaded = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [(loaded.id_to_piece(place), loaded.get_score(place)) for place in range(loaded.get_piece_size())]


def sentencepiece_tokenizer(layout, folder, *, turns=False, ends=False):
    """A tokenizer of one of :data:`LAYOUTS`, or ``t5``; with ``turns`` it has ChatML's tokens, with ``ends`` it adds
    an end of sequence after every text."""
    *kind, scheme = layout.split()
    if layout.startswith("slow"):
        tokenizer = _library(folder, prefix=layout == "slow", ends=ends)
    elif layout == "t5":
        tokenizer = T5Tokenizer(vocab=pieces_of(trained_model("unigram")), extra_ids=0)
    else:
        tokenizer = _llama("unigram" if kind else "bpe", scheme, ends=ends)
    if turns:
        tokenizer.add_special_tokens({"additional_special_tokens": TURNS})
    return tokenizer


def _library(folder, *, prefix, ends):
    model = folder / f"{prefix}.model"
    model.write_bytes(trained_model("bpe", add_dummy_prefix=prefix))
    return GPTSw3Tokenizer(str(model), **NAMES)


def _llama(kind, scheme, *, ends):
    pieces = pieces_of(trained_model(kind))
    vocab = {piece: place for place, (piece, _) in enumerate(pieces)}
    merges = generate_merges(vocab, dict(pieces), skip_tokens=NAMES.values())
    options = {"legacy": scheme != "first", "add_prefix_space": scheme != "never", "add_eos_token": ends}
    tokenizer = LlamaTokenizer(vocab=vocab, merges=merges, add_bos_token=True, **options, **NAMES)
    backend = tokenizer.backend_tokenizer
    if kind == "unigram":
        backend.model = models.Unigram(pieces, unk_id=0, byte_fallback=True)
    if scheme == "prepend":
        backend.pre_tokenizer = None
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer
