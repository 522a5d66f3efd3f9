"""The quality of examples: a score of the data or of a reward model, and its quartile within the example's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spectrum_suite.errors import UserError
from spectrum_suite.loading import check_whole, explain_failed_load, without_load_report

N_BUCKETS = 4


def quality_buckets(scores: Sequence[float | None], langs: Sequence[str | None]) -> list[int | None]:
    """Quartile of each score among those of its language, 1 for the best; equal scores share the better one.

    Args:
        scores: Higher is better; None is not scored.
        langs: The language of each example; examples of no known language are compared with one another.

    Returns:
        1 to 4 for each score, None where there is none.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for index, (score, lang) in enumerate(zip(scores, langs, strict=True)):
        if score is not None:
            members[lang].append(index)
    buckets: list[int | None] = [None] * len(scores)
    for indices in members.values():
        ordered = np.sort([-scores[index] for index in indices])
        for index in indices:
            n_better = int(np.searchsorted(ordered, -scores[index], side="left"))
            buckets[index] = 1 + N_BUCKETS * n_better // len(indices)
    return buckets


@dataclass(frozen=True)
class RewardModel:
    """A sequence classifier with one output: how good a completion is for its prompt, higher is better.

    Attributes:
        model: In eval mode.
        tokenizer: With a chat template it writes prompt and completion as a conversation, without one as a pair.
        batch_size: Examples in a forward pass.
        max_length: Tokens of an example; what is more is cut off at its end.
        progress: Show a progress bar.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int = 8
    max_length: int = 1024
    progress: bool = False

    @classmethod
    def load(cls, name: str, *, device: torch.device | None = None, progress: bool = False) -> RewardModel:
        """The reward model in a folder or on a Hub.

        Raises:
            UserError: There is none, it has several outputs, or its checkpoint lacks some of its weights.
        """
        with explain_failed_load(f"reward model {name!r} cannot be loaded: give a folder or a Hub id"):
            tokenizer = AutoTokenizer.from_pretrained(name)
            with without_load_report():
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    name, output_loading_info=True, ignore_mismatched_sizes=True
                )
        if model.config.num_labels != 1:
            raise UserError(
                f"reward model {name!r} has {model.config.num_labels} outputs: give one with a single output"
            )
        check_whole(report, name, name)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id or tokenizer.eos_token_id
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return cls(model.to(device).eval(), tokenizer, progress=progress)

    @torch.inference_mode()
    def score(self, examples: Sequence[tuple[str, str]]) -> list[float]:
        """The reward of each (prompt, completion)."""
        order = sorted(range(len(examples)), key=lambda index: -sum(map(len, examples[index])))
        found = np.empty(len(examples))
        for start in tqdm(range(0, len(order), self.batch_size), desc="Scoring quality", disable=not self.progress):
            batch = order[start : start + self.batch_size]
            inputs = self._inputs([examples[index] for index in batch]).to(self.model.device)
            found[batch] = self.model(**inputs).logits[:, 0].cpu().double().numpy()
        return found.tolist()

    def _inputs(self, examples: Sequence[tuple[str, str]]) -> BatchEncoding:
        options = {"padding": True, "truncation": True, "max_length": self.max_length, "return_tensors": "pt"}
        if self.tokenizer.chat_template is None:
            prompts, completions = zip(*examples, strict=True)
            return self.tokenizer(list(prompts), list(completions), **options)
        chats = [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
            for prompt, completion in examples
        ]
        return self.tokenizer.apply_chat_template(chats, return_dict=True, **options)
