"""Runs ``python -m spectrum_suite.markers annotate``, which is ``spectrum-suite annotate``."""

from spectrum_suite.commands.main import main

if __name__ == "__main__":
    main()
