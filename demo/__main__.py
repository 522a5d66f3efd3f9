"""Runs ``python -m demo``, the playground."""

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():
        import sys

        from spectrum_suite.commands.demo import main

        main(sys.argv[1:])
