"""What batches have freed leaves the process where the C library would keep it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from spectrum_suite import freed_memory
from spectrum_suite.freed_memory import FreedMemory, malloc_trim

HOLES = """
import psutil, sys, torch
from spectrum_suite.freed_memory import FreedMemory
size = lambda: psutil.Process().memory_info().rss
freed = FreedMemory()
before = size()
freed.after_batch()  # what is needed
batch = [torch.ones(2**14) for _ in range(16_000)]  # 1 GiB in pieces of 64 KiB
kept = batch[::200]  # what lives on holds the top of the heap
grown = size()
del batch
if sys.argv[1] == "freed":
    freed.after_batch()
print((grown - before) / 2**20, (size() - before) / 2**20)
"""


@pytest.mark.skipif(malloc_trim() is None, reason="the C library keeps nothing that could be given back")
def test_holes_are_given_back():
    def run(how: str) -> tuple[float, float]:
        done = subprocess.run([sys.executable, "-c", HOLES, how], capture_output=True, text=True, check=True)
        grown, left = map(float, done.stdout.split())
        return grown, left

    (grown, kept), (_, left) = run("kept"), run("freed")
    assert grown > 900
    assert kept > 900  # or this test shows nothing
    assert left < 100


@pytest.mark.parametrize(
    ("sizes", "trims"),
    [((100, 109, 90), 0), ((100, 111, 100, 111), 2), ((100, 150, 150, 160), 1), ((100, 150, 80, 150), 2)],
    ids=["steady", "grows twice", "needs more", "small batch between"],
)
def test_only_growth_is_given_back(monkeypatch, sizes, trims):
    calls, told = [], iter(sizes)
    monkeypatch.setattr(freed_memory, "malloc_trim", lambda: calls.append)
    freed = FreedMemory()
    freed._process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(told)))
    for _ in sizes:
        freed.after_batch()
    assert len(calls) == trims
