"""ARCHITECTURE.md lists the files that a vote passes on its way to the loss, which is followed here, call by call.

What passed means is said there. A word that stands nowhere else is followed: as text, inside a row or another value of
ours, as token ids or in a tensor. A file whose function is given it and returns it has to be listed, and a function of
each listed file has to be given it: what a file writes, or makes a loss of, it does not return.
"""

import dataclasses
import re
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch._subclasses.fake_tensor import FakeTensor

from dataset_builder.build import BuildOptions, build
from spectrum_suite.commands import train
from tests.tiny_models import save_llama
from tests.train_command import arguments

ROOT = Path(__file__).parents[1]
WORD = "zyzzyvalidators"
DEPTH = 5
LARGEST_COUNT = 500
"""Token ids of the word up to this one are not followed: positions and indices of tokens are numbers, too."""
BESIDE = {"spectrum_suite/training/mixture.py", "dataset_builder/card.py", "spectrum_suite/fingerprints.py"}
"""Files that hand on whole tables, or describe rows."""


def walk(title):
    """The stops of a walk, and the files that they name."""
    section = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    stops = re.findall(r"^\d+\. .*(?:\n   .*)*", section, flags=re.MULTILINE)
    return stops, [
        name
        for stop in stops
        for name in re.findall(r"`((?:dataset_builder|spectrum_suite|metrics)/[\w/]+\.py)`", stop)
    ]


def parts(value):
    """What is in a value of several parts; nothing for one of a kind that no draw is in."""
    if isinstance(value, Dataset):
        return value.to_dict().values() if len(value) < 100 else ()
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)[:200]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name, None) for each in dataclasses.fields(value)]
    return ()


class Follower:
    """Sees every call of a function of ours, and notes the files of those that hold what is followed.

    Args:
        ids: The tokens that stand for the word.
    """

    def __init__(self, ids):
        self.ids = set(ids)
        self.passed, self.looked, self.given, self.busy = {}, {}, {}, False
        self.reached = {}

    def __enter__(self):
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)

    def __call__(self, frame, event, value):
        if event not in ("call", "return") or self.busy:
            return
        name = frame.f_code.co_filename
        if name not in self.looked:
            path = Path(name)
            ours = path.is_relative_to(ROOT) and not {".venv", "tests"} & set(path.relative_to(ROOT).parts)
            self.looked[name] = str(path.relative_to(ROOT)) if ours else None
        file = self.looked[name]
        if file is None or file in self.passed or frame.f_code.co_name.startswith("<"):
            return
        self.busy = True
        try:
            if event == "call":
                self.given[frame] = any(self.holds(each) for each in frame.f_locals.values())
                if self.given[frame]:
                    self.reached[file] = frame.f_code.co_name
            elif self.given.pop(frame, False) and self.holds(value):
                self.passed[file] = frame.f_code.co_name
        finally:
            self.busy = False

    def holds(self, value, depth=0):
        """Whether a value is or has in it what is followed."""
        if isinstance(value, str | bytes):
            return WORD in (value if isinstance(value, str) else value.decode(errors="ignore"))
        if isinstance(value, bool | int):
            return value in self.ids and not isinstance(value, bool)
        if isinstance(value, FakeTensor):
            return False  # a shape without numbers, by which memory is estimated
        if isinstance(value, torch.Tensor | np.ndarray):
            return self.in_array(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        return depth < DEPTH and any(self.holds(each, depth + 1) for each in parts(value))

    def in_array(self, array):
        """Whether an array has the token in it."""
        if array.dtype.kind in "iu":
            return array.size < 10_000 and bool(np.isin(array, list(self.ids)).any())
        return array.dtype.kind in "OU" and self.holds(array.tolist())


@pytest.fixture(scope="module")
def model(tokenizer_of, tmp_path_factory):
    """A model's folder, and the tokens that the word has wherever it stands."""
    tokenizer = tokenizer_of("chatml")
    ids = [set(tokenizer(text, add_special_tokens=False).input_ids) for text in (WORD, f"the {WORD}", f"\n{WORD}")]
    followed = {each for each in set.intersection(*ids) if each > LARGEST_COUNT}
    assert followed
    return save_llama(tmp_path_factory.mktemp("model"), tokenizer), followed


def votes(folder):
    """Raw files of Polis in which a statement has the word."""
    shutil.copytree(ROOT / "dataset_builder" / "fixtures" / "polis", folder / "polis")
    comments = folder / "polis" / "brexit-consensus" / "comments.csv"
    text = comments.read_text(encoding="utf-8")
    assert "brings people together" in text
    comments.write_text(text.replace("brings people together", f"brings the {WORD}"), encoding="utf-8")
    return folder


def test_a_vote_passes_the_files_that_are_listed(model, tmp_path):
    """From the raw file to the loss of the first batch."""
    folder, ids = model
    tasks = ["polis_vote", "polis_comment"]  # the word is in inputs of the one, in outputs of the other
    options = BuildOptions(tmp_path / "suite", sources_dir=votes(tmp_path), allow_missing=True)
    words = arguments(folder, tmp_path / "suite", tmp_path / "run", "--tasks", *tasks, "--max_steps", "1")
    with Follower(ids) as seen:
        build(tasks, options)
        train.main([*words, "--save_strategy", "no", "--per_device_train_batch_size", "16", "--max_length", "400"])
    _, listed = walk("A vote to the loss")
    assert set(seen.passed) - BESIDE <= set(listed), seen.passed
    assert set(listed) <= set(seen.reached), seen.reached


def test_the_walks_are_as_short_as_they_are_said_to_be():
    """The second one is followed in tests/spectrum_suite/evaluation/alignment/test_option_walk.py."""
    for title, most in (("A vote to the loss", 12), ("An option to a divergence", 8)):
        stops, files = walk(title)
        assert 0 < len(stops) <= 10
        assert 0 < len(set(files)) == len(files) <= most
        assert not [name for name in files if not (ROOT / name).is_file()]
