r"""Whether two checkouts give the same results: builds, losses, reports and pushes, by their own commands.

    python -m benchmarks.same_results OLD_CHECKOUT NEW_CHECKOUT
    python -m benchmarks.same_results OLD_CHECKOUT NEW_CHECKOUT --parts losses reports --keep outputs/same-results

Each checkout runs its own scripts, in a folder and processes of its own, with the interpreter that runs this, on the
same inputs: a suite and adapters that the old checkout makes, tiny models with random weights, and data. Of what it
leaves, every file is compared:

- ``build``: tasks built from the fixtures and, with ``--sources`` or SPECTRUM_SOURCES, the whole suite.
- ``losses``: short runs of `train_sft.py`, one for each way to train: the loss of every step and the weights.
- ``reports``: evaluations of every desideratum, local and served, and of ``--model``, if one is given.
- ``pushes``: a dataset, the metrics, an adapter, a merged model and the rule adapter, sent to a loopback Hub.

Bytes are the same, or the file differs. JSON may differ in times, versions and names of keys, which are listed; cards,
reports in Markdown and the comments of published code may differ in their words, but in no number. With anything else
the exit code is 1. The Space is left out: it carries the library's own modules.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.same_files import DIFFERENT, NAMES, SAME, WORDS, compare_files, kept
from benchmarks.same_inputs import (
    DRAWS,
    EVALUATIONS,
    MARKED,
    ON_SUITE,
    RECIPE,
    RUNS,
    SMALL_SUITE,
    TRAINING,
    marked,
    pair,
    save_tiny_model,
    write_rows,
)

PARTS = ("build", "losses", "reports", "pushes")
SERVE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
from tests.completions_server import serving
with serving(AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
METRICS = ("spectrum_alignment", "output_coverage", "in_context_steerability")


@dataclass(frozen=True)
class Side:
    """One of the two checkouts.

    Attributes:
        checkout: Its folder.
        folder: Where its commands run.
    """

    checkout: Path
    folder: Path

    def python(self, *words: str, **environment: str) -> None:
        """Run its code.

        Raises:
            RuntimeError: The command fails; its last lines are shown.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in ("SPECTRUM_SOURCES", "PYTHONPATH")}
        given = kept | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        given |= {"PYTHONPATH": str(self.checkout)} | environment
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=self.folder, env=given, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()[-15:]
            raise RuntimeError(
                "\n".join([f"{self.folder.name}: {' '.join(words)} ended with {done.returncode}", *lines])
            )

    def script(self, name: str, words: str | Sequence[str], **environment: str) -> None:
        """Run a script of the checkout; of ``--old_name|--new_name``, it is given the one that it knows."""
        words = words.split() if isinstance(words, str) else words
        known = [next(each for each in word.split("|") if "|" not in word or each in self.help(name)) for word in words]
        self.python(str(self.checkout / name), *known, **environment)

    @cache  # noqa: B019 - two objects in a program
    def help(self, name: str) -> str:
        """What a script says on ``--help``."""
        command = [sys.executable, str(self.checkout / name), "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603


@dataclass
class Outcome:
    """How the files of one piece of work compare.

    Attributes:
        part: Of :data:`PARTS`.
        what: Which piece.
        found: The status of each file.
        notes: What differs, for people.
    """

    part: str
    what: str
    found: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def count(self, status: str) -> int:
        """Files of that status."""
        return list(self.found.values()).count(status)


class Comparison:
    """What both sides do, and what comes of it.

    Args:
        old: Checkout.
        new: Checkout.
        folder: Of all that is made.
    """

    def __init__(self, old: Path, new: Path, folder: Path) -> None:
        self.sides = [Side(old.resolve(), folder / "old"), Side(new.resolve(), folder / "new")]
        self.inputs = folder / "inputs"
        self.outcomes: list[Outcome] = []

    def run(self, part: str, what: str, folder: str, work: Callable[[Side], None]) -> None:
        """Do some work on both sides at a time, and compare what they leave in a folder."""
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(work, self.sides))
        except RuntimeError as error:
            self.failed(part, what, str(error))
        else:
            self.compare(part, what, folder)

    def failed(self, part: str, what: str, error: str) -> None:
        """Take a command that failed for a difference."""
        self.outcomes.append(Outcome(part, what, {"the command": DIFFERENT}, [error]))
        print(f"{part}: {what}: {error}", flush=True)

    def compare(self, part: str, what: str, folder: str) -> None:
        """Compare what both sides left in a folder."""
        old, new = (side.folder / folder for side in self.sides)
        outcome = Outcome(part, what)
        files = [{str(path.relative_to(root)) for path in root.rglob("*") if kept(path, root)} for root in (old, new)]
        for name in sorted(files[0] | files[1]):
            if name not in files[0] & files[1]:
                outcome.found[name], notes = DIFFERENT, [f"only in {'old' if name in files[0] else 'new'}"]
            else:
                outcome.found[name], notes = compare_files(old / name, new / name, self.plain)
            outcome.notes += [f"{name}: {note}" for note in notes]
        if not outcome.found:
            outcome.found[folder], outcome.notes = DIFFERENT, [f"{folder} is empty"]
        self.outcomes.append(outcome)
        print(f"{part}: {what}: {len(outcome.found)} files, {outcome.count(DIFFERENT)} different", flush=True)

    def plain(self, text: str) -> str:
        """A text without the folders that are a side's own."""
        for side in self.sides:
            text = text.replace(str(side.folder), "FOLDER").replace(str(side.checkout), "CHECKOUT")
        return text


def make_inputs(comparison: Comparison) -> None:
    """What both sides are given: models, a suite and adapters of the old checkout, data."""
    folder = comparison.inputs
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "complete").exists():
        return
    maker = Side(comparison.sides[0].checkout, folder)
    save_tiny_model(folder / "tiny", (maker.checkout / "README.md").read_text(encoding="utf-8"))
    write_rows(folder / "pairs.jsonl", [pair(number) for number in range(20)])
    write_rows(folder / "marked.jsonl", [marked(number) for number in range(20)])
    (folder / "runs.yaml").write_text(RECIPE)
    build(maker, SMALL_SUITE.split(), "suite", maker.checkout / "dataset_builder" / "fixtures", "--rows", "60")
    for name, options in (("tuned", f"{DRAWS} --learning_rate 1e-2"), ("marked", MARKED)):
        maker.script("train_sft.py", f"{TRAINING} {options} --output_dir {name}")
    (folder / "complete").touch()


def build(side: Side, tasks: Sequence[str], output: str, sources: Path, *more: str) -> None:
    """Build tasks from a folder of raw files."""
    command = ["-m", "dataset_builder", "build", "--tasks", *tasks, "--sources-dir", str(sources)]
    side.python(*command, "--allow-missing", "--num-proc", "1", "--output", output, *more)


def compare_builds(comparison: Comparison, sources: Path | None, rows: int | None) -> None:
    """Every Parquet file, and what is next to them."""
    limit = ["--rows", str(rows)] if rows else []
    fixtures = comparison.sides[0].checkout / "dataset_builder" / "fixtures"
    for output, raw in (("suite-of-fixtures", fixtures), ("suite", sources)):
        if raw is None:
            continue
        comparison.run(
            "build", output, output,
            lambda side, output=output, raw=raw: build(side, ["all"], output, raw.resolve(), *limit),
        )  # fmt: skip


def compare_losses(comparison: Comparison, only: Sequence[str]) -> None:
    """The log and the weights of each way to train."""
    for name, options in chosen(RUNS, only):
        output = f"training/{name.replace(' ', '-').replace(',', '')}"
        words = f"{TRAINING} {options} --output_dir {output}"
        comparison.run("losses", name, output, lambda side, words=words: side.script("train_sft.py", words))


def compare_reports(comparison: Comparison, only: Sequence[str], model: str | None) -> None:
    """The report of each way to evaluate."""
    evaluations = dict(EVALUATIONS)
    if model:
        evaluations[model] = f"--model {model} {ON_SUITE}"
    with served_model(comparison) as url:
        for name, options in chosen(evaluations, only):
            output = f"reports/{re.sub(r'[^a-z0-9]+', '-', name)}"
            words = options.replace("URL", url).replace("--compare ", "--compare reports/") + f" --output {output}"
            if not {"--runs", "--endpoint"} & set(words.split()):
                words += " --device cpu"
            comparison.run("reports", name, output, lambda side, words=words: side.script("evaluate_model.py", words))


def chosen(pieces: Mapping[str, str], only: Sequence[str]) -> list[tuple[str, str]]:
    """The pieces of work whose names are asked for, with those that they are compared with."""
    if not only:
        return list(pieces.items())
    wanted = {name for name in pieces if name in only}
    wanted |= {match[1] for name in wanted if (match := re.search(r"--compare (\S+)", pieces[name]))}
    return [(name, options) for name, options in pieces.items() if name in wanted]


@contextmanager
def served_model(comparison: Comparison) -> Iterator[str]:
    """The address of the tiny model behind the completions server of the new checkout's tests."""
    with process(comparison.sides[1], "-c", SERVE, str(comparison.inputs / "tiny")) as server:
        yield server.stdout.readline().strip()


@contextmanager
def process(side: Side, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process of a checkout, for as long as it is needed."""
    environment = os.environ | {"PYTHONPATH": str(side.checkout), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(  # noqa: S603
        [sys.executable, *words], cwd=side.checkout, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.terminate()
        running.communicate()


def compare_pushes(comparison: Comparison, only: Sequence[str]) -> None:
    """Every file of every repository, as it is on the Hub after the push."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for side in comparison.sides:  # one after the other: both at the same address
        report = side.folder / "reports" / "tuned"
        if not report.exists():
            side.script(
                "evaluate_model.py", f"{EVALUATIONS['tuned'].partition(' --compare')[0]} --output reports/tuned"
            )
        for name, error in push_all(comparison.sides[1], port, side, comparison.inputs, only):
            comparison.failed("pushes", name, error)
    for name in pushes("", only):
        comparison.compare("pushes", name, f"pushed/{name}")


def pushes(metrics: str, only: Sequence[str]) -> dict[str, str]:
    """{what: options of `push_to_hub.py`}."""
    base = "--base-model org/base --license mit --license-link https://example.org/terms"
    model = f"model ../inputs/tuned --suite ../inputs/suite --dataset org/suite {base}"
    commands = {
        "dataset": "dataset ../inputs/suite --repo-id org/suite --include-unlicensed",
        **{name: f"metric {metrics}/{name} --repo-id org/{name}" for name in METRICS},
        "adapter": f"{model} --repo-id org/tuned --report reports/tuned/report.json",
        "merged": f"{model} --repo-id org/merged --merge --without-report",
        "rule-adapter": "rule-adapter --repo-id org/rule-adapter",
    }
    return {name: options for name, options in commands.items() if not only or name in only}


def push_all(hub_of: Side, port: int, side: Side, inputs: Path, only: Sequence[str]) -> list[tuple[str, str]]:
    """Push everything from one side to a Hub of its own, fetch what is then there, and say what could not be pushed."""
    from huggingface_hub import HfApi  # noqa: PLC0415 - with an environment of ours

    failed = []
    package = "tests.loopback_hub.hub_server"
    if not (hub_of.checkout / f"{package.replace('.', '/')}.py").exists():
        package = "tests.hub_server"
    with process(hub_of, "-m", package, "--port", str(port)) as server:
        address, token = (re.search(r"=(\S+)", server.stdout.readline())[1] for _ in range(2))
        api = HfApi(endpoint=address, token=token)
        api.create_repo("org/base")
        api.upload_folder(repo_id="org/base", folder_path=inputs / "tiny")
        with tempfile.TemporaryDirectory() as home:
            environment = {
                "HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HOME": home, "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_OFFLINE": "0",
            }  # fmt: skip
            for name, options in pushes(str(side.checkout / "metrics"), only).items():
                try:
                    side.script("push_to_hub.py", options, **environment)
                except RuntimeError as error:
                    failed.append((name, str(error)))
                    continue
                kind = options.split()[0]
                where = {"repo_id": re.search(r"--repo-id (\S+)", options)[1]}
                where["repo_type"] = {"dataset": "dataset", "metric": "space"}.get(kind, "model")
                target = side.folder / "pushed" / name
                api.snapshot_download(**where, local_dir=target, cache_dir=home)
                shutil.rmtree(target / ".cache")
                commits = [commit.title for commit in api.list_repo_commits(**where)]
                tags = [tag.name for tag in api.list_repo_refs(**where).tags]
                (target / "history.json").write_text(json.dumps({"commits": commits, "tags": tags}))
    return failed


def table(outcomes: Sequence[Outcome]) -> str:
    """All outcomes, in Markdown."""
    statuses = (SAME, NAMES, WORDS, DIFFERENT)
    lines = ["| part | what | files | same | other names | other words | different |", "|---|---|--:|--:|--:|--:|--:|"]
    for outcome in outcomes:
        counts = [len(outcome.found), *(outcome.count(status) for status in statuses)]
        lines.append(f"| {outcome.part} | {outcome.what} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same_results", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("old", type=Path, help="a checkout")
    parser.add_argument("new", type=Path, help="another")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to compare (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these pieces of a part alone")
    parser.add_argument(
        "--sources", type=Path, default=os.environ.get("SPECTRUM_SOURCES"), metavar="DIR",
        help="raw files, for the whole suite (default: $SPECTRUM_SOURCES)",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, help="of each task that is built (default: all)")
    parser.add_argument("--model", help="evaluate this one, too: embedded:gemma-3-270m")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep all that is made there, inputs for the next time"
    )
    return parser.parse_args(words)


def main() -> None:
    """Compare, and exit with 1 where something differs."""
    given = options()
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # the loopback Hub has none
    os.environ.pop("HF_HUB_OFFLINE", None)  # and is asked like any other
    start = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        comparison = Comparison(given.old, given.new, folder)
        make_inputs(comparison)
        for part in given.parts:
            if part == "build":
                compare_builds(comparison, given.sources and Path(given.sources), given.rows)
            elif part == "losses":
                compare_losses(comparison, given.only)
            elif part == "reports":
                compare_reports(comparison, given.only, given.model)
            else:
                compare_pushes(comparison, given.only)
    for outcome in comparison.outcomes:
        for note in outcome.notes:
            print(f"{outcome.part}, {outcome.what}: {note}")
    print(f"\n{table(comparison.outcomes)}\n\n{time.time() - start:.0f} seconds")
    sys.exit(any(outcome.count(DIFFERENT) for outcome in comparison.outcomes))


if __name__ == "__main__":
    main()
