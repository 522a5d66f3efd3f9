"""The library on a simulated accelerator: the tests of `tests/device`, in processes that have one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path.name for path in (ROOT / "tests" / "device").glob("test_*.py"))


@pytest.mark.parametrize("name", FILES)
def test_the_library_on_a_simulated_accelerator(name):
    command = [sys.executable, "-m", "pytest", f"tests/device/{name}", "-p", "no:cacheprovider", "--durations=0"]
    environment = os.environ | {"SIMULATED_DEVICE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
