"""The arguments of `train_sft.py`: what to train on, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from trl import SFTConfig

from spectrum_suite.devices import best_device, trains_in_bfloat16
from spectrum_suite.errors import UserError
from spectrum_suite.training.tokens import turn_token_source


@dataclass
class SpectrumArguments:
    """What to train on, and how it is written."""

    suite: str = field(
        default="spectrum-suite",
        metadata={"help": "A built suite's folder, a task file (.yaml), or a dataset on the Hub."},
    )
    dataset: str | None = field(
        default=None,
        metadata={"help": "A dataset in place of a suite: a Hub id, hf://datasets/..., a file or a folder."},
    )
    split: str = field(default="train", metadata={"help": "Split of --dataset, or part of one, such as 'train[:300]'."})
    columns: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Roles of the columns of --dataset: input=NAME,output=NAME, messages=NAME, or with --objective "
            "distribution messages=NAME,options=NAME,probabilities=NAME."
        },
    )
    dataset_config: str | None = field(
        default=None, metadata={"help": "Configuration of --dataset, if it has several."}
    )
    dataset_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of --dataset."})
    tasks: list[str] = field(
        default_factory=lambda: ["all"],
        metadata={
            "help": "Training tasks, each 'name' or 'name=rows'; 'all' or 'all=rows' takes every one; a mixture, such "
            "as 'random_draws=500', takes that many rows from its tasks together."
        },
    )
    rows: int | None = field(default=None, metadata={"help": "Total number of rows, divided among the tasks."})
    mixing_temperature: float = field(
        default=1.0,
        metadata={
            "help": "For dividing --rows: 1 is proportional to the rows of a task, large values make shares equal."
        },
    )
    allow_held_out: bool = field(default=False, metadata={"help": "Train on held-out tasks too, where named."})
    objective: str = field(
        default="spectrum",
        metadata={
            "help": "What to learn: spectrum, draws of the suite's processes; distribution, its target distributions, "
            "with draws too where --tasks names both; from --data: instruction, responses to their instructions; "
            "response, responses without instructions; single_task, the responses of one narrow task; markers, "
            "annotated rows with their markers."
        },
    )
    data: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Instruction data: files (.json, .jsonl, .csv, .parquet), folders or datasets on the Hub. For "
            "--objective distribution rows of decisions, such as LocalLLaMA/typed-decisions; the suite is then read "
            "only for tasks that --tasks names."
        },
    )
    layout: str = field(default="auto", metadata={"help": "Layout of --data; auto infers it from the columns."})
    data_split: str = field(
        default="train", metadata={"help": "Split of --data, or part of one, such as 'train[:300]'; of files too."}
    )
    data_limit: int | None = field(
        default=None, metadata={"help": "Conversations (or rows of decisions) to draw at random from each of --data."}
    )
    read: str = field(
        default="options",
        metadata={
            "help": "How rows of decisions are answered: options, by name; labels, in the prompt that vLLM sends to a "
            "decision model, which is in the model's own chat template (--format model_chat)."
        },
    )
    marked: bool = field(
        default=True, metadata={"help": "Write markers; false is the baseline, on the same rows in the same order."}
    )
    markers_dropout: float = field(
        default=0.5, metadata={"help": "Share of examples whose prompt shows no markers, drawn anew each epoch."}
    )
    markers_sample_dropout: float = field(
        default=0.5, metadata={"help": "Share of markers that any other prompt leaves out, drawn anew each epoch."}
    )
    marker_categories: list[str] = field(
        default_factory=lambda: ["all"],
        metadata={"help": "Categories of markers to write; all takes those of the rows."},
    )
    marker_taxonomy: str | None = field(default=None, metadata={"help": "YAML file of custom categories."})
    train_on: str = field(
        default="outputs",
        metadata={
            "help": "What is trained: outputs; or, for ablations, all tokens, or only the last or the first output."
        },
    )
    format: str = field(
        default="auto",
        metadata={"help": "auto, spectrum, colon, chat, tags, meaningless_tags or model_chat (its own chat template)."},
    )
    description_dropout: float = field(
        default=0.2, metadata={"help": "Probability of leaving out a description, drawn per sequence and epoch."}
    )
    permute: bool = field(default=True, metadata={"help": "Shuffle the draws of a row anew every epoch."})
    branching: float = field(
        default=0.0,
        metadata={
            "help": "Probability that a draw begins a sequence of its own after the description instead of following "
            "the draw before it. Sequences of a row share tokens, so many draws cost little; 0 is the paper's method."
        },
    )
    task_branching: list[str] = field(
        default_factory=list,
        metadata={"help": "Branching of single tasks, each 'name=probability'; --branching applies to the others."},
    )
    target_draws: float = field(
        default=32.0,
        metadata={
            "help": "How many draws a row with a target counts as, among rows of draws; at most its n_responses, "
            "where it has them."
        },
    )
    target_smoothing: float = field(
        default=0.0,
        metadata={
            "help": "Pseudocount added to every option of a target that comes from n_responses answers; 0 takes the "
            "shares as they are."
        },
    )
    target_brier: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the Brier score of the distribution over a target's options, added to the cross-entropy "
            "of each draw; the logged loss is the cross-entropy alone."
        },
    )
    target_rps: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the ranked probability score, likewise, where a target's options are "
            "ordered or all numbers."
        },
    )
    turn_tokens: str = field(
        default="train",
        metadata={
            "help": "Embedding rows of the turn tokens: train trains them with the adapter, from those of the base; "
            "newline does so from the rows of line breaks, for a base that has never seen a turn; transplant:MODEL "
            "copies those of a donor with the same vocabulary; keep leaves them as they are."
        },
    )
    merge: bool = field(default=False, metadata={"help": "Write base and adapter merged into one model, in merged/."})
    alignment_steps: int = field(
        default=0, metadata={"help": "Steps between measurements of alignment on held-out distributions; 0 is never."}
    )
    alignment_items: int = field(default=10, metadata={"help": "Items per task in that measurement."})

    def __post_init__(self) -> None:
        turn_token_source(self.turn_tokens)


@dataclass
class TuningConfig(SFTConfig):
    """TRL's SFTConfig with the defaults of the method: one epoch, LoRA's learning rate, no mixed precision on a CPU."""

    learning_rate: float = field(default=5e-4, metadata={"help": "The initial learning rate of AdamW."})
    num_train_epochs: float = field(default=1.0, metadata={"help": "Epochs; the order of draws is new in each."})
    lr_scheduler_type: str = field(default="linear", metadata={"help": "Learning rate schedule."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between lines of the log."})
    bf16: bool = field(
        default_factory=trains_in_bfloat16,
        metadata={"help": "Mixed precision; on by default on accelerators that have it, and fast on some processors."},
    )
    gradient_checkpointing: bool | None = field(default=None, metadata={"help": "Trade time for memory."})
    packing: bool = field(
        default=False,
        metadata={
            "help": "Let the sequences of a batch share rows of at most --max_length tokens, each attending to itself."
        },
    )
    resume_from_checkpoint: str | None = field(
        default="auto",
        metadata={
            "help": "auto resumes from the latest complete checkpoint, never starts over; or a checkpoint's folder."
        },
    )
    output_dir: str = field(default="outputs/spectrum", metadata={"help": "Where the adapter and its report go."})

    def __post_init__(self) -> None:
        optimizer = str(self.optim)
        if best_device().type == "cpu" and any(mark in optimizer for mark in ("8bit", "4bit", "paged")):
            raise UserError(f"--optim {optimizer} needs a GPU, and there is none here: leave it out")
        self._refuse_without_accelerator()
        if self.fp16:
            self.bf16 = False  # which is on by default on a GPU
        if self.bf16 and not torch.accelerator.is_available():
            self.use_cpu = True  # else transformers refuses mixed precision, which processors have as well
        super().__post_init__()

    def _refuse_without_accelerator(self) -> None:
        """Refuse what would do nothing on a CPU.

        Raises:
            UserError: There is no accelerator, or it is not used.
        """
        if torch.accelerator.is_available() and not self.use_cpu:
            return
        for name, nothing in (
            ("fp16", False),
            ("tf32", None),
            ("activation_offloading", False),
            ("torch_empty_cache_steps", None),
        ):
            if getattr(self, name) != nothing:
                raise UserError(f"--{name} needs a GPU, and none is used here: leave it out")


def for_our_collator(config: TuningConfig) -> TuningConfig:
    """The same configuration, with what TRL needs so that it leaves tokenized rows and our collator alone."""
    config.remove_unused_columns = False
    config.dataset_kwargs = {"skip_prepare_dataset": True}
    config.packing = False  # TRL's own; ours is the collator's
    config.average_tokens_across_devices = True
    config.dataloader_persistent_workers = False  # workers that live on would not hear of a new epoch
    return config
