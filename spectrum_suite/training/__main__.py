"""Runs ``python -m spectrum_suite.training show``, which is ``spectrum-suite show``."""

from spectrum_suite.commands.main import main

if __name__ == "__main__":
    main()
