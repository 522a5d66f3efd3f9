"""Publish a dataset, a metric, a model and more on a Hub: `python push_to_hub.py --help`."""

from __future__ import annotations

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():  # an interruption while this is imported ends in a line, too
        import sys

        from spectrum_suite.commands.push import main

        main(sys.argv[1:])
