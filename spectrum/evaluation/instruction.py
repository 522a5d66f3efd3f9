"""Instruction following of a model: it ranks responses, and gives some, which are measured and compared with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum.evaluation.preference import Preference
from spectrum.evaluation.ranking import Conversation, Ranking, rank_responses
from spectrum.evaluation.response_format import format_measures, summarize_formats
from spectrum.evaluation.similarity import Similarity, similarity_to_task
from spectrum.evaluation.win_rate import WinRate, compare_responses
from spectrum.formats.render import Format
from spectrum.generation.respond import Response, respond
from spectrum.generation.rule_adapter import Rules


@dataclass(frozen=True)
class InstructionFollowing:
    """What a model does with instructions.

    Attributes:
        instructions: The instruction of each conversation: what its last input says.
        responses: The model's, one per instruction.
        ranking: Of the conversations' own responses. The rules of an adapter play no part in it.
    """

    instructions: tuple[str, ...]
    responses: tuple[Response, ...]
    ranking: Ranking

    @property
    def texts(self) -> list[str]:
        """The responses as text."""
        return [response.text for response in self.responses]

    def section(self) -> dict[str, object]:
        """Ranking and format measures for a report, and the responses themselves."""
        measures = [format_measures(*pair) for pair in zip(self.instructions, self.responses, strict=True)]
        return {
            "ranking": self.ranking.section(),
            "format": summarize_formats(measures),
            "items": [
                {"instruction": asked, "response": response.text, "tokens": response.tokens, "ended": response.ended}
                for asked, response in zip(self.instructions, self.responses, strict=True)
            ],
        }

    def against(self, others: Sequence[str], judge: Preference) -> WinRate:
        """The win rate over other responses to the same instructions.

        Raises:
            UserError: There are not as many responses, or the judge does not judge.
        """
        return compare_responses(self.instructions, self.texts, others, judge)

    def similarity_to(self, task: Sequence[Conversation]) -> Similarity:
        """How much the responses look like a narrow task's, by how near their instructions are to it.

        Raises:
            UserError: The task is empty.
        """
        return similarity_to_task(
            self.instructions, self.texts, [(instruction_of(each), each[-1]["content"]) for each in task]
        )


def evaluate_instruction_following(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    *,
    text_format: Format,
    rules: Rules | None = None,
    max_new_tokens: int = 256,
    seed: int = 42,
    batch_size: int = 8,
    progress: bool = False,
) -> InstructionFollowing:
    """Have a model rank the responses of conversations, and answer their instructions.

    Args:
        model: A causal language model in eval mode.
        tokenizer: Its tokenizer.
        conversations: Each ends with a response; what stands before it is the prompt.
        text_format: How prompts are written.
        rules: Of an adapter to generate with.
        max_new_tokens: Tokens of a response at most.
        seed: Of the pairs that are ranked.
        batch_size: Prompts at a time.
        progress: Show progress bars.

    Raises:
        UserError: There are fewer than two conversations, or one is longer than the model allows.
    """
    options = {"text_format": text_format, "batch_size": batch_size, "progress": progress}
    ranking = rank_responses(model, tokenizer, conversations, seed=seed, **options)
    prompts = [conversation[:-1] for conversation in conversations]
    responses = respond(model, tokenizer, prompts, max_new_tokens=max_new_tokens, rules=rules, **options)
    return InstructionFollowing(tuple(map(instruction_of, conversations)), tuple(responses), ranking)


def instruction_of(conversation: Conversation) -> str:
    """What the message before the response says."""
    return conversation[-2]["content"]
