"""Nothing is written twice: no ten lines of code are equal, or of one shape under other names, outside tests and data.

A line's shape is its tokens, with one token for every name and one for every value. What does not count: imports,
docstrings, comments, the signatures of functions, and tables, which are statements outside functions that hold no logic
(no comprehension, condition or function), such as a `Source`, a list of `TaskSpec`s or the fields of a class.
"""

import ast
import io
import keyword
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOTS = ("spectrum_suite", "dataset_builder", "metrics", "benchmarks", "demo")
LINES = 10
LOGIC = (ast.comprehension, ast.Lambda, ast.IfExp, ast.BoolOp, ast.Compare)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def left_out(tree):
    """The numbers of the lines that do not count."""
    numbers = set()
    for parent in ast.walk(tree):
        body = getattr(parent, "body", None)
        for node in body if isinstance(body, list) else ():
            is_table = not isinstance(parent, FUNCTIONS) and isinstance(node, ast.Assign | ast.AnnAssign)
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, FUNCTIONS):
                numbers |= set(range(node.lineno, node.body[0].lineno))
            elif (
                isinstance(node, ast.Import | ast.ImportFrom)
                or is_text
                or (is_table and not any(isinstance(part, LOGIC) for part in ast.walk(node)))
            ):
                numbers |= set(range(node.lineno, node.end_lineno + 1))
    return numbers


def shapes(text):
    """(number, shape) of each line that counts."""
    skipped, found = left_out(ast.parse(text)), {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            part = token.string if keyword.iskeyword(token.string) else "name"
        elif token.type in (tokenize.NUMBER, tokenize.STRING):
            part = "value"
        elif token.type == tokenize.OP:
            part = token.string
        else:
            continue
        if token.start[0] not in skipped:
            found.setdefault(token.start[0], []).append(part)
    return [(number, " ".join(parts)) for number, parts in found.items()]


def repeated(texts):
    """The places, ``file:first-last``, of ten lines that have the shapes of ten others before them."""
    seen = {}
    for path, text in texts.items():
        lines = shapes(text)
        for begin in range(len(lines) - LINES + 1):
            numbers, run = zip(*lines[begin : begin + LINES], strict=True)
            place = (path, numbers[0], numbers[-1])
            first = seen.setdefault(run, place)
            if first[0] != path or first[2] < numbers[0]:
                yield "{}:{}-{} and {}:{}-{}".format(*first, *place)


def test_nothing_is_written_twice():
    paths = [*REPOSITORY.glob("*.py"), *(path for root in ROOTS for path in (REPOSITORY / root).rglob("*.py"))]
    texts = {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(paths)
        if "fixtures" not in path.parts
    }
    assert {"train_sft.py", "metrics/output_coverage/scoring.py", "dataset_builder/sources/urn.py"} <= texts.keys()
    assert list(repeated(texts)) == []


ONCE = '''
def mean_length(texts, weights):
    """The weighted mean."""
    total, mass = 0.0, 0.0
    for text, weight in zip(texts, weights, strict=True):
        if weight < 0:
            raise ValueError("negative")
        if not text:
            continue

        total += weight * len(text)
        mass += weight  # of those that count
    if not mass:
        return None
    return total / mass
'''
OTHER_NAMES = ONCE.replace("text", "row").replace("weight", "share").replace("mass", "rest").replace("0.0", "1")
IMPORTS = "".join(f"import module_{number}\n" for number in range(20))
TABLE = "POLL = Source(\n" + "".join(f"    field_{number}={number},\n" for number in range(12)) + ")\n"
MADE = TABLE.replace("=3,", "=[n for n in range(3)],")


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (ONCE, ONCE, True),
        (ONCE, OTHER_NAMES, True),
        (ONCE, ONCE.replace("weight * len(text)", "len(text)"), False),
        (IMPORTS, IMPORTS, False),
        (TABLE, TABLE, False),
        (MADE, MADE, True),
        (f"def f():\n    {TABLE.replace(chr(10), chr(10) + '    ')}\n", TABLE.replace("POLL", "x = POLL"), False),
    ],
    ids=["equal", "other names", "another shape", "imports", "tables", "tables with logic", "one place is a table"],
)
def test_a_planted_pair_is_found(first, second, found):
    assert bool(list(repeated({"a.py": first, "b.py": second}))) == found


def test_a_pair_in_one_file_is_found_once_it_is_apart():
    assert list(repeated({"a.py": ONCE + OTHER_NAMES}))
    assert not list(repeated({"a.py": "".join(f"f({number})\n" for number in range(12))}))
