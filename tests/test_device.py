"""The library on a simulated accelerator: the tests of `tests/device`, in a process that has one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_library_on_a_simulated_accelerator():
    command = [sys.executable, "-m", "pytest", "tests/device", "-p", "no:cacheprovider", "--durations=0"]
    environment = os.environ | {"SIMULATED_DEVICE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
