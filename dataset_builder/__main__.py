"""Runs ``python -m dataset_builder list|preview|build``."""

from dataset_builder.commands import main

if __name__ == "__main__":
    main()
