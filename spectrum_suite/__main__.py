"""Runs ``python -m spectrum_suite COMMAND``, which needs no installation."""

from spectrum_suite.errors import exit_on_user_error

if __name__ == "__main__":
    with exit_on_user_error():
        from spectrum_suite.commands.main import main

        main()
