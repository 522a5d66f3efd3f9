"""The tests themselves: none passes without having looked at anything, and what they share has one import path."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
SHARED = {path.stem for path in FILES if not path.stem.startswith("test_")}


def functions_of(tree):
    """The test functions of a module."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def own(node):
    """A node and all within it, apart from what belongs to functions and classes of their own."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from own(child)


def checks(node):
    """Whether something within a node can fail: an assertion, or a call of what asserts or expects."""
    return any(
        isinstance(each, ast.Assert)
        or (
            isinstance(each, ast.Call)
            and ast.unparse(each.func).split(".")[-1].startswith(("assert", "raises", "fail"))
        )
        for each in ast.walk(node)
    )


def silent_passes(source):
    """Tests that end early with success, and tests that look at something only if a condition holds."""
    for test in functions_of(ast.parse(source)):
        if any(isinstance(node, ast.Return) for statement in test.body for node in own(statement)):
            yield f"{test.name} returns: skip with a reason, or parametrize over what it is about"
        conditional = [node for node in test.body if isinstance(node, ast.If) and not node.orelse and checks(node)]
        if conditional and not any(checks(node) for node in test.body if node not in conditional):
            yield f"{test.name} checks something only if {ast.unparse(conditional[0].test)}"


def bare_imports(source):
    """Imports of a helper by its bare name, which finds it only from some folders and makes a second module of it."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        yield from (name for name in names if name in SHARED or name.startswith("test_"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_looks_at_something_and_imports_by_full_names(path):
    source = path.read_text(encoding="utf-8")
    assert not [*silent_passes(source), *bare_imports(source)]


@pytest.mark.parametrize(
    "body",
    [
        "if not rows:\n  return\n assert rows",
        "for row in rows:\n  if row:\n   return\n assert rows",
        "if rows:\n  assert rows[0]",
        "found = f(rows)\n if rows:\n  with pytest.raises(ValueError):\n   g(rows)",
    ],
)
def test_a_silent_pass_is_found(body):
    assert len(list(silent_passes(f"def test_f(rows):\n {body}\n"))) == 1


@pytest.mark.parametrize(
    "body",
    [
        "if not rows:\n  pytest.skip('no rows')\n assert rows",
        "def f(x):\n  return x\n assert f(rows)",
        "if rows:\n  assert rows[0]\n else:\n  assert rows == []",
        "f(rows)",
    ],
)
def test_what_may_be_is_not(body):
    assert not list(silent_passes(f"def test_f(rows):\n {body}\n"))


def test_a_bare_import_is_found():
    lines = "from tiny_models import tiny_model\nimport conftest\nfrom tests.tiny_models import item\nimport json\n"
    assert list(bare_imports(lines)) == ["tiny_models", "conftest"]
