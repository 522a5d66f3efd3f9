"""Lists what has to be carried to a machine without a network for `make gpu-check`, with sizes.

python -m benchmarks.gpu_carry                         # what is installed here, largest first, and the models
python -m benchmarks.gpu_carry --limit_mib 64          # exit code 1 where it does not fit into one journey of that size
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.models import find_model

ROOT = Path(__file__).parents[1]
MIB = 2**20


def packages() -> dict[str, int]:
    """``name==version`` of everything that the requirements bring -> its size here in bytes, installed."""
    names = [*_required("requirements.txt"), *_required("requirements-no-deps.txt")]
    found: dict[str, int] = {}
    seen: set[str] = set()
    while names:
        name = names.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            found[f"{name} (not installed)"] = 0
            continue
        found[f"{name}=={package.version}"] = sum(_size(package.locate_file(file)) for file in package.files or ())
        needs = [Requirement(line) for line in package.requires or ()]
        names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def models(names: list[str]) -> dict[str, int]:
    """Each model -> the size of its files."""
    return {name: sum(_size(path) for path in find_model(name).folder.iterdir()) for name in names}


def _required(name: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line).name for line in lines if line]


def _size(path: Path) -> int:
    path = Path(path)
    return path.stat().st_size if path.is_file() else 0


def main(settings: argparse.Namespace) -> None:
    """Print the list."""
    sizes = packages() | models(settings.models)
    for name, size in sorted(sizes.items(), key=lambda each: -each[1]):
        print(f"{size / MIB:10.1f} MiB  {name}")
    total = sum(sizes.values()) / MIB
    print(f"{total:10.1f} MiB  in all")
    if settings.limit_mib and total > settings.limit_mib:
        journeys = int(-(-total // settings.limit_mib))
        print(
            f"more than {settings.limit_mib:g} MiB: in {journeys} pieces, or leave out what is there", file=sys.stderr
        )
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["embedded:gemma-3-270m", "embedded:smollm2-135m"])
    parser.add_argument("--limit_mib", type=float, help="what can be carried at once")
    with exit_on_user_error():
        main(parser.parse_args())
