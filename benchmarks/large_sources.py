"""Builds tasks from made-up files as large as the largest upstreams, and measures their time and memory.

    python benchmarks/large_sources.py                                   # a few minutes and 1 GB of temporary files
    python benchmarks/large_sources.py --ratings 200000 --votes 50000 --output quick.json

The files are 20 million ratings in the layout of the Netflix Prize and one Polis conversation of 5 million votes. Each
task is built by `python -m dataset_builder build` in a process of its own, whose peak memory is what the operating
system counted. The results are JSON: per task the seconds, those of the processor (steadier on a busy machine),
and the peak in GiB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RESULTS = Path(__file__).parent / "results" / "large_sources.json"
LIMIT_GIB = 3
CUSTOMERS, LARGEST_CUSTOMER, MOVIES = 480_189, 2_649_429, 13_367
VOTES_OF_A_PERSON, STATEMENTS, VOTERS_AT_A_TIME = 100, 3_000, 2_000


def write_netflix(folder: Path, n_ratings: int) -> None:
    """Write so many ratings, most of them of few movies, and nobody rates a movie twice."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    titles = [f"{movie},{1950 + movie % 55},Film no. {movie}, of many\n" for movie in range(1, MOVIES + 1)]
    (folder / "movie_titles.csv").write_text("".join(titles), encoding="latin-1")
    customers = np.sort(rng.choice(LARGEST_CUSTOMER, CUSTOMERS, replace=False)) + 1
    popularity = rng.permutation(1 / (np.arange(MOVIES) + 30) ** 0.7)
    counts = rng.multinomial(n_ratings, popularity / popularity.sum())
    for part, movies in enumerate(np.array_split(np.arange(MOVIES), 3), start=1):
        with (folder / f"combined_data_{part}.txt").open("wb") as file:
            for movie in movies:
                file.write(f"{movie + 1}:\n".encode())
                _ratings(rng, customers, counts[movie]).write_csv(file, include_header=False)


def _ratings(rng: np.random.Generator, customers: np.ndarray, count: int) -> pl.DataFrame:
    """Ratings by different customers, in no order."""
    stride = next(s for s in rng.integers(1, CUSTOMERS, size=1000) if math.gcd(int(s), CUSTOMERS) == 1)
    chosen = (rng.integers(CUSTOMERS) + stride * np.arange(count)) % CUSTOMERS
    days = pl.Series(rng.integers(10_957, 13_148, size=count)).cast(pl.Int32).cast(pl.Date)
    return pl.DataFrame({"customer": customers[chosen], "rating": rng.integers(1, 6, size=count), "date": days})


def write_polis(folder: Path, n_votes: int) -> None:
    """Write one conversation with so many votes, in the order of time."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    (folder / "summary.csv").write_text("topic,A very large town hall\n")
    comments = [f"1500000000000,then,{n},{n},1,1,1,We should do thing number {n} soon.\n" for n in range(STATEMENTS)]
    header = "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body\n"
    (folder / "comments.csv").write_text(header + "".join(comments))
    with (folder / "votes.csv").open("wb") as file:
        file.write(b"timestamp,datetime,comment-id,voter-id,vote\n")
        for first in range(0, n_votes // VOTES_OF_A_PERSON, VOTERS_AT_A_TIME):
            n_voters = min(VOTERS_AT_A_TIME, n_votes // VOTES_OF_A_PERSON - first)
            _votes(rng, first, n_voters).write_csv(file, include_header=False)


def _votes(rng: np.random.Generator, first_voter: int, n_voters: int) -> pl.DataFrame:
    """The votes of people who are there at the same time, each on different statements."""
    voters = np.repeat(np.arange(first_voter, first_voter + n_voters), VOTES_OF_A_PERSON)
    on = (rng.integers(STATEMENTS, size=(n_voters, 1)) + np.arange(VOTES_OF_A_PERSON)) % STATEMENTS
    order = rng.permutation(len(voters))
    return pl.DataFrame(
        {
            "timestamp": 1_500_000_000_000 + first_voter * VOTES_OF_A_PERSON + np.arange(len(voters)),
            "datetime": pl.repeat("Fri Jul 14 02:40:00 UTC 2017", len(voters), eager=True),
            "comment-id": on.ravel()[order],
            "voter-id": voters[order],
            "vote": rng.integers(-1, 2, size=len(voters)),
        }
    )


def measure(task: str, sources: Path, work: Path) -> dict[str, Any]:
    """Build one task in a process of its own; give its seconds, peak memory, and what came out.

    Raises:
        RuntimeError: The build fails.
    """
    output = work / task
    command = [sys.executable, "-m", "dataset_builder", "build", "--tasks", task, "--allow_missing"]
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [*command, "--sources_dir", str(sources), "--output", str(output)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(work / "hf")},
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
    if process.returncode:
        raise RuntimeError(f"building {task!r} ended with code {process.returncode}")
    record = json.loads((output / "build_report.json").read_text())["tasks"][task]
    result = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
    }
    return result | {name: record[name] for name in ("rows", "processes", "draws", "dropped")}


def main() -> None:
    """Make the files, build the tasks one after the other, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=20_000_000, help="ratings in the Netflix layout")
    parser.add_argument("--votes", type=int, default=5_000_000, help="votes in the Polis layout")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results are written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sources = Path(name) / "sources"
        write_netflix(sources / "netflix", arguments.ratings)
        write_polis(sources / "polis" / "brexit-consensus", arguments.votes)
        tasks = ("netflix_individual_ratings", "netflix_individual_views", "polis_vote")
        results = {
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
            "polars_threads": pl.thread_pool_size(),
            "ratings": arguments.ratings,
            "votes": arguments.votes,
            "raw_bytes": sum(path.stat().st_size for path in sources.rglob("*") if path.is_file()),
            "limit_gib": LIMIT_GIB,
            "tasks": {task: measure(task, sources, Path(name)) for task in tasks},
        }
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
