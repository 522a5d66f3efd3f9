"""A metric's module, and the examples in its documentation: ``verify_metric.py ORG/NAME COMMIT``."""

from __future__ import annotations

import doctest
import os
import sys

import evaluate
from datasets import DownloadConfig


def main(name: str, commit: str) -> None:
    """Load the module and compute what its documentation computes."""
    access = DownloadConfig(token=os.environ.get("HF_TOKEN"))
    metric = evaluate.load(name, revision=commit, download_config=access)
    sys.stdout.write(f"{metric.name}: loaded\n")
    checkout = f'evaluate.load("metrics/{name.rpartition("/")[2]}")'
    documentation = metric.info.inputs_description.replace(checkout, "metric")
    known = {"evaluate": evaluate, "metric": metric}
    test = doctest.DocTestParser().get_doctest(documentation, known, metric.name, None, None)
    if doctest.DocTestRunner(verbose=False).run(test, out=sys.stdout.write).failed:
        raise AssertionError("an example of its documentation gives something else")
    sys.stdout.write(f"{metric.name}: {len(test.examples)} lines of its examples computed\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
