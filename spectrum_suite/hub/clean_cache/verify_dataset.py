"""Every configuration, its first rows and the rows of all its files: ``verify_dataset.py ORG/NAME COMMIT CONFIG ...``.

What there must be is what ``build_report.json`` says of each file; what there is stands in the files' own metadata.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
from datasets import DatasetBuilder, get_dataset_config_names, load_dataset_builder
from huggingface_hub import HfFileSystem, hf_hub_download

FIRST_ROWS = 3
REPORT = "build_report.json"


def main(name: str, commit: str, *configs: str) -> None:
    """Read some rows of each configuration, and count all of them; all configurations must be there."""
    if missing := set(configs) - set(get_dataset_config_names(name, revision=commit)):
        raise LookupError(f"configurations {', '.join(sorted(missing))} are not there")
    expected = expected_rows(name, commit)
    seen: set[str] = set()
    for config in configs:
        builder = load_dataset_builder(name, config, revision=commit)
        for split, rows in builder.as_streaming_dataset().items():
            if not list(islice(rows, FIRST_ROWS)):
                raise LookupError(f"configuration {config} has no rows in {split}")
            count = checked_rows(builder, split, expected, seen)
            sys.stdout.write(f"{config}, {split}: {count} rows\n")
            sys.stdout.flush()
    if unread := expected.keys() - seen:
        raise LookupError(f"no configuration has the files {', '.join(sorted(unread))}")


def expected_rows(name: str, commit: str) -> dict[str, int]:
    """File -> rows, as the suite's build reported them."""
    report = Path(hf_hub_download(name, REPORT, repo_type="dataset", revision=commit))
    tasks = json.loads(report.read_text(encoding="utf-8"))["tasks"]
    return {
        f"{task}/{file}": entry["rows"]
        for task, record in tasks.items()
        for file, entry in record.get("files", {}).items()
    }


def checked_rows(builder: DatasetBuilder, split: str, expected: dict[str, int], seen: set[str]) -> int:
    """The rows of a split, counted in its files; they must be those of the report, and of the card."""
    total = 0
    for address in builder.config.data_files[split]:
        file = address.rpartition("@")[2].partition("/")[2]
        rows = rows_of(address)
        if rows != expected.get(file):
            raise LookupError(f"file {file} has {rows} rows, not {expected.get(file)}")
        seen.add(file)
        total += rows
    said = builder.info.splits[split].num_examples
    if total != said:
        raise LookupError(f"configuration {builder.config.name} has {total} rows in {split}, its card says {said}")
    return total


@cache
def rows_of(address: str) -> int:
    """The rows that the metadata at the end of a Parquet file tells."""
    with HfFileSystem(token=os.environ.get("HF_TOKEN") or False).open(address, block_size=2**16) as file:
        return pq.read_metadata(file).num_rows


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # a stream that was not read to its end crashes the interpreter while it shuts down
