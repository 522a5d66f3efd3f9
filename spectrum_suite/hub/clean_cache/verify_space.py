"""The program of a Space, imported from its own files: ``verify_space.py ORG/NAME COMMIT MODULE``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from huggingface_hub import snapshot_download


def main(name: str, commit: str, module: str) -> None:
    """Download the Space and import the module; what else of ours it imports must come from there, too."""
    folder = Path(snapshot_download(name, repo_type="space", revision=commit))
    sys.path.insert(0, str(folder))
    importlib.import_module(module)
    carried = {path.relative_to(folder).parts[0] for path in folder.glob("*/**/*.py")}
    imported = [found for found in list(sys.modules.values()) if found.__name__.partition(".")[0] in carried]
    elsewhere = [found.__name__ for found in imported if not str(found.__file__).startswith(str(folder))]
    if elsewhere:
        raise AssertionError(f"{', '.join(elsewhere)} did not come from the Space")
    sys.stdout.write(f"{module}: imported, with {len(imported)} modules of the Space\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
