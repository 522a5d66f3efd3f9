"""Memory and time of publishing a large suite: `push_to_hub.py` against the loopback Hub, in processes of their own.

    python -m benchmarks.push_memory --gigabytes 2 --output benchmarks/results/push_memory.json

The suite is one task whose Parquet files hold random text. What counts is the largest resident memory of the push or of
the process in which it loads the suite back, as the operating system reports it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.build import BuildOptions, build
from dataset_builder.suite_folder import REPORT, describe_file
from dataset_builder.tables import FEATURES

TASK, REPOSITORY = "coinflip", "org/large-suite"
SHARDS, TEXT_BYTES, ROWS_PER_GROUP = 4, 20_000, 1000


def main(gigabytes: float, output: Path) -> None:
    """Write a suite, publish it, publish it again, report."""
    with tempfile.TemporaryDirectory() as scratch:
        suite = Path(scratch) / "suite"
        size = write_suite(suite, int(gigabytes * 1e9))
        server, environment = start_hub(Path(scratch))
        try:
            runs = {name: run_push(suite, environment) for name in ("first push", "second push, nothing changed")}
        finally:
            server.terminate()
            server.wait()
    report = {
        "command": f"python -m benchmarks.push_memory --gigabytes {gigabytes:g}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("huggingface_hub", "datasets", "pyarrow")},
        "suite_bytes": size,
        "files": SHARDS,
        "runs": runs,
    }
    output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(runs, indent=1))


def write_suite(folder: Path, size: int) -> int:
    """A built suite, its rows replaced by so many bytes of random text; returns the size of its Parquet files."""
    build([TASK], BuildOptions(folder, max_rows=1))
    (first,) = (folder / TASK).glob("*.parquet")
    first.unlink()
    generator = np.random.default_rng(0)
    groups = size // SHARDS // (ROWS_PER_GROUP * TEXT_BYTES)
    for shard in range(SHARDS):
        path = folder / TASK / f"train-{shard:05d}-of-{SHARDS:05d}.parquet"
        with pq.ParquetWriter(path, FEATURES["icl"].arrow_schema, compression="none", use_dictionary=False) as writer:
            for group in range(groups):
                writer.write_table(random_rows(generator, f"{shard}/{group}"))
    report = json.loads((folder / REPORT).read_text())
    files = {path.name: describe_file(path) for path in sorted((folder / TASK).iterdir())}
    report["tasks"][TASK] |= {"rows": SHARDS * groups * ROWS_PER_GROUP, "bytes": size, "files": files}
    (folder / REPORT).write_text(json.dumps(report))
    return sum(path.stat().st_size for path in (folder / TASK).iterdir())


def random_rows(generator: np.random.Generator, name: str) -> pa.Table:
    """Rows of one draw each, of hexadecimal text."""
    rows = [
        {
            "id": f"{name}/{row}",
            "process": name,
            "messages": [{"role": "output", "content": generator.bytes(TEXT_BYTES // 2).hex()}],
            "source": "random",
            "n_outputs": 1,
        }
        for row in range(ROWS_PER_GROUP)
    ]
    return pa.Table.from_pylist(rows, schema=FEATURES["icl"].arrow_schema)


def start_hub(home: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The loopback Hub, and the environment of those who talk to it."""
    command = [sys.executable, "-m", "tests.loopback_hub.hub_server"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    said = server.stdout.readline() + server.stdout.readline()
    given = dict(re.findall(r"(HF_\w+)=(\S+)", said))
    return server, os.environ | given | {"HF_HOME": str(home / "home"), "HF_HUB_DISABLE_XET": "1"}


def run_push(suite: Path, environment: dict[str, str]) -> dict[str, float]:
    """Publish the suite; seconds, and the peak of memory in GiB."""
    started = time.monotonic()
    command = [sys.executable, "push_to_hub.py", "dataset", str(suite), "--repo_id", REPOSITORY]
    process = subprocess.Popen(command, env=environment)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the push failed")
    return {"seconds": round(time.monotonic() - started, 1), "peak_rss_gib": round(usage.ru_maxrss / 2**20, 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2, help="size of the suite (default: 2)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/push_memory.json"))
    arguments = parser.parse_args()
    main(arguments.gigabytes, arguments.output)
