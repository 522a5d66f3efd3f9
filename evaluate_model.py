"""Measure how well a causal language model steers, spans, aligns and follows: `python evaluate_model.py --help`."""

from __future__ import annotations

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():  # an interruption while this is imported ends in a line, too
        import sys

        from spectrum_suite.commands.evaluate import main

        main(sys.argv[1:])
