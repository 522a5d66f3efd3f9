"""Runs a script as Windows would: no `resource`, `fcntl` or `os.fork` for our code, and no replacing of open files.

    python tests/other_system.py SCRIPT [ARGUMENT ...]
    python tests/other_system.py -m MODULE [ARGUMENT ...]

Only our own imports are refused: other libraries look which system they are on before they import these.
"""

import builtins
import contextlib
import os
import runpy
import sys
from pathlib import Path

OURS = ("spectrum_suite", "dataset_builder", "metrics", "demo", "benchmarks", "__main__", "quickstart")
MISSING = ("resource", "fcntl", "pwd", "grp", "termios")
ROOT = str(Path(__file__).parents[1])


def refuse_unix_modules():
    """Importing one of them from our code fails."""
    plain = builtins.__import__

    def imported(name, namespace=None, *arguments, **options):
        importer = str((namespace or {}).get("__name__", ""))
        if name in MISSING and importer.split(".", maxsplit=1)[0] in OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return plain(name, namespace, *arguments, **options)

    builtins.__import__ = imported


def open_here(path):
    """Whether this process has the file open."""
    path = os.path.realpath(path)
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(link.readlink()) == path:
                return True
    return False


def refuse_open_files():
    """Renaming, replacing or deleting a file that is open fails, and so does renaming onto one that is there."""

    def guarded(plain, *, onto):
        def operation(source, target=None, *arguments, **options):
            for path in (source, target):
                if path is not None and not isinstance(path, int) and open_here(path):
                    raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
            if onto and Path(target).exists():
                raise FileExistsError(17, "Cannot create a file when that file already exists", str(target))
            return plain(source, *(() if target is None else (target,)), *arguments, **options)

        return operation

    os.replace = guarded(os.replace, onto=False)
    os.rename = guarded(os.rename, onto=True)
    os.unlink = guarded(os.unlink, onto=False)
    os.remove = guarded(os.remove, onto=False)


def main():
    refuse_unix_modules()
    refuse_open_files()
    for name in ("fork", "forkpty", "killpg", "getuid", "setsid"):
        if hasattr(os, name):
            delattr(os, name)
    sys.path.insert(0, ROOT)
    if sys.argv[1] == "-m":
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
