"""What is said when there was too little memory."""

import pytest
import torch
from transformers import TrainingArguments

from spectrum_suite.errors import UserError
from spectrum_suite.training.memory import explain_out_of_memory


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (
            {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
            r"--per_device_train_batch_size 4 --gradient_accumulation_steps 4 \(now 8 and 2\), which trains the same",
        ),
        ({"per_device_train_batch_size": 1}, "turn on --gradient_checkpointing true"),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True},
            r"lower the length with --max_length 512 \(now 1024\)",
        ),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_says_what_to_change(tmp_path, options, remedy, error):
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    with pytest.raises(UserError, match=f"^out of memory: .*{remedy}"), explain_out_of_memory(args, 1024):
        raise error


def test_other_errors_stay_what_they_are(tmp_path):
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory(args, 1024):
        raise RuntimeError("shapes do not fit")
