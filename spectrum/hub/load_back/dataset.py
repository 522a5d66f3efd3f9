"""The first rows of every configuration, as a stream: ``dataset.py ORG/NAME COMMIT CONFIG ...``."""

from __future__ import annotations

import os
import sys
from itertools import islice

from datasets import get_dataset_config_names, load_dataset

FIRST_ROWS = 3


def main(name: str, commit: str, *configs: str) -> None:
    """Read some rows of each configuration; all of them must be there."""
    if missing := set(configs) - set(get_dataset_config_names(name, revision=commit)):
        raise LookupError(f"configurations {', '.join(sorted(missing))} are not there")
    for config in configs:
        for split, rows in load_dataset(name, config, revision=commit, streaming=True).items():
            count = len(list(islice(rows, FIRST_ROWS)))
            if not count:
                raise LookupError(f"configuration {config} has no rows in {split}")
            sys.stdout.write(f"{config}, {split}: {count} rows\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # a stream that was not read to its end crashes the interpreter while it shuts down
