"""The settings of an evaluation and their defaults: constants that a command line shows without importing `torch`."""

from __future__ import annotations

from typing import Literal

KINDS = {"steerability": "icl", "coverage": "coverage", "alignment": "distribution"}
"""Desideratum -> the kind of task that it is measured on."""

ON_DATA = ("instruction", "markers")
"""Desiderata that are measured on instruction data and not on a suite."""

DESIDERATA = (*KINDS, *ON_DATA)

Prompting = Literal["description", "examples", "both"]
PROMPTINGS: tuple[Prompting, ...] = ("description", "examples", "both")

ESTIMATES = ("logprobs", "top_logprobs", "samples", "verbalized", "sequence", "systemone")
"""Ways to estimate a model's distribution over the options of an item."""

ENGINES = ("local", "vllm")
"""What runs a model on this machine: `transformers`, or vLLM."""

APIS = ("completions", "chat", "systemone")
"""What the service of a model may speak."""

LIMIT = 1000
SEED = 42
MAX_LENGTH = 1024
BATCH_SIZE = 8
MAX_NEW_TOKENS = 256
N_GENERATIONS = 100
N_ANSWERS = 100
