"""Tune a causal language model on the Spectrum Suite, or on instruction data: `python train_sft.py --help`."""

from __future__ import annotations

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():  # an interruption while this is imported ends in a line, too
        import sys

        from spectrum_suite.commands.train import main

        main(sys.argv[1:])
