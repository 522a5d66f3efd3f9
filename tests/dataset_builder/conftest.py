import json
import sys
import textwrap
from pathlib import Path

import pytest

from dataset_builder import registry, sources

TOY_MODULE = """
from dataset_builder.raw import at_row, read_json_lines
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, Sequences, Source, SourceFile, Target, TaskSpec

NOTHING = Source("nothing", "No upstream", "https://example.org/nothing", "apache-2.0", "yes", "nobody")
PEOPLE = Source(
    "people", "Scores of people", "https://example.org/people", "CC BY 4.0", "no", "Doe 2020", folder="people",
    revision="r7", files=(SourceFile("raw/people.jsonl"),),
)


def numbers(rng, index):
    draws = tuple(Draw(None, str(value)) for value in rng.integers(0, 1000, size=20))
    return Example(f"n{index}", tuple(f"way {i}" for i in range(4)), draws)


def urn(rng, index):
    return Example(f"u{index}", ("An urn.",), target=Target("Which?", ("red", "blue"), (0.25, 0.75), 8))


def people(files):
    path = files["raw/people.jsonl"]
    for line, row in read_json_lines(path, {"person": str, "scores": list}):
        with at_row(path, line):
            if row["person"] == "nobody":
                yield Dropped("no person")
                continue
            draws = tuple(Draw(f"question {i}", str(int(score))) for i, score in enumerate(row["scores"]))
            yield Example(row["person"], draws=draws)


TASKS = (
    TaskSpec("toy_numbers", "icl", "train", NOTHING, "random_draws", "Numbers.", "a list", ("number",),
             sequences=Sequences("one"), generate=numbers, n_processes=6),
    TaskSpec("toy_urn", "distribution", "test", NOTHING, "random_draws", "Urns.", "an urn", ("colour",),
             generate=urn, n_processes=3, output_label="Colour", origin="ours"),
    TaskSpec("toy_people", "icl", "train", PEOPLE, "human_variation", "Scores.", "a person", ("score",), ("question",),
             sequences=Sequences("partition", Mix(4)), read=people, quirks="Ours are toys."),
)
"""


@pytest.fixture
def toy_tasks(tmp_path, monkeypatch):
    """Makes the toy tasks the only ones: toy_numbers, toy_urn (no raw files) and toy_people (one raw file)."""
    folder = tmp_path / "toy_package"
    folder.mkdir()
    (folder / "toy.py").write_text(textwrap.dedent(TOY_MODULE))
    monkeypatch.setattr(sources, "__path__", [str(folder)])
    sys.modules.pop("dataset_builder.sources.toy", None)
    registry.all_tasks.cache_clear()
    yield
    sys.modules.pop("dataset_builder.sources.toy", None)
    registry.all_tasks.cache_clear()


@pytest.fixture
def write_people(tmp_path):
    """Writes the raw file of toy_people, 30 scores a person, and returns its ``--sources_dir``."""

    def write(*names: str, last_line: str = "") -> Path:
        path = tmp_path / "raw" / "people" / "raw" / "people.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps({"person": name, "scores": list(range(30))}) for name in names]
        path.write_text("\n".join(rows) + "\n" + last_line)
        return tmp_path / "raw"

    return write


@pytest.fixture
def people_dir(write_people) -> Path:
    """A ``--sources_dir`` with three people and a row to drop."""
    return write_people("ann", "bob", "nobody", "cy")
