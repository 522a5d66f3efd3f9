"""A published metric in a bare virtual environment: `evaluate`, `datasets`, `numpy` and what these three need."""

# ruff: noqa: PLC0415 - a function that runs in another process imports for itself

import re
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from spectrum_suite.hub.metric import metric_publication
from spectrum_suite.hub.publish import PushOptions, push
from tests.conftest import REPOSITORY
from tests.loopback_hub.hub_client import ask

pytestmark = pytest.mark.hub

METRIC = "org/spectrum_alignment"
NEEDED = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^\]]*)\])?[^;]*(?:;.*\bextra\s*==\s*[\"'](?P<of>[\w.-]+)[\"'])?"
)


def closure(*names):
    """The distributions that some need, themselves included, of those that are installed here."""
    found, left = {}, [(name, frozenset()) for name in names]
    while left:
        name, extras = left.pop()
        try:
            here = distribution(name)
        except PackageNotFoundError:  # needed on other systems only
            continue
        if here.name in found and found[here.name] >= extras:
            continue
        found[here.name] = found.get(here.name, frozenset()) | extras
        for line in here.requires or ():
            needed = NEEDED.match(line)
            if needed["of"] is None or needed["of"] in extras:
                wanted = frozenset(extra.strip() for extra in (needed["extras"] or "").split(",") if extra)
                left.append((needed["name"], wanted))
    return {name: distribution(name) for name in found}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """The interpreter of a new environment, into which the files of those distributions are linked."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    for needed in closure("evaluate", "datasets", "numpy").values():
        for top in {file.parts[0] for file in needed.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(needed.locate_file(top))
    return str(folder / "bin" / "python")


def compute_as_documented(name):
    import doctest
    from importlib.metadata import distributions
    from importlib.util import find_spec

    import evaluate

    metric = evaluate.load(name)
    text = metric.info.inputs_description.replace('evaluate.load("metrics/spectrum_alignment")', "metric")
    examples = doctest.DocTestParser().get_doctest(text, {"evaluate": evaluate, "metric": metric}, "metric", None, 0)
    ran = doctest.DocTestRunner().run(examples)
    coin = {"options": ["heads", "tails"], "probabilities": [0.5, 0.5]}
    result = metric.compute(predictions=[[0.2, 0.6]], references=[coin])
    others = ("torch", "transformers", "scipy", "gradio", "spectrum_suite", "metrics", "dataset_builder")
    return {
        "ran": [ran.attempted, ran.failed],
        "result": {key: round(result[key], 4) for key in ("js_divergence", "total_variation", "coverage")},
        "others": [name for name in others if find_spec(name)],
        "installed": sorted({found.name.lower() for found in distributions()}),
    }


def test_a_metric_computes_where_there_is_little_else(here, bare_python, tmp_path):
    push(metric_publication(REPOSITORY / "metrics" / "spectrum_alignment", METRIC), PushOptions(), here.write_token)
    seen = ask(here, tmp_path, compute_as_documented, METRIC, token="", uploads=False, python=bare_python)
    assert seen["ran"] == [9, 0]
    assert seen["result"] == {"js_divergence": 0.0338, "total_variation": 0.25, "coverage": 0.8}
    assert seen["others"] == []
    assert {"evaluate", "datasets", "numpy"} < set(seen["installed"])
    assert len(seen["installed"]) < 50
