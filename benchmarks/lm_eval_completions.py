"""lm-evaluation-harness behind a completions server: a process of its own, for `benchmarks.served_options`.

Its interpreter has lm-eval, and nothing of ours is imported but the process itself.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measuring import serve

BACKENDS = {
    "local-completions": ("lm_eval.models.openai_completions", "LocalCompletionsAPI"),
    "gguf": ("lm_eval.models.gguf", "GGUFLM"),
}
"""Name on the harness's command line -> module and class."""


def main() -> None:
    """Score the items of each line: a list of ``{prompt, options}``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a JSON file with the settings of the backend")
    settings = json.loads(parser.parse_args().work.read_text())
    module, name = BACKENDS[settings.pop("backend")]
    backend = getattr(import_module(module), name)(**settings)
    instance = import_module("lm_eval.api.instance").Instance

    def score(line: str) -> dict[str, Any]:
        items = json.loads(line)
        pairs = [(item["prompt"], option) for item in items for option in item["options"]]
        requests = [instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
        began = time.perf_counter()
        found = iter(backend.loglikelihood(requests, disable_tqdm=True))
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "log_probs": [[next(found)[0] for _ in item["options"]] for item in items]}

    serve(score)


if __name__ == "__main__":
    main()
