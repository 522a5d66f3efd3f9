"""How two files compare: byte for byte, apart from times, in names of keys, in words, or not at all."""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

SAME, NAMES, WORDS, DIFFERENT = "same", "names", "words", "different"
IGNORED_KEYS = {
    "created", "seconds", "libraries", "versions", "tokens_per_second", "memory_gib", "peak_rss_gib", "train_runtime",
    "train_samples_per_second", "train_steps_per_second",
}  # fmt: skip
MANIFEST = ".push_to_hub.json"
JSON_FILES = {MANIFEST, ".spectrum_run"}
PROSE = {".md", ".html", ".txt"}
IGNORED_FILES = ("plots/*", "tasks/*", "*.lock", "*.png", "checkpoint-*/*")
TIMES = re.compile(r"\d+(?:\.\d+)? (?:s|seconds|minutes|GiB)\b|\d+-\d+-\d+T\S+")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def kept(path: Path, root: Path) -> bool:
    """Whether a file is a result, rather than a cache, a lock or a picture of one."""
    name = path.relative_to(root)
    return path.is_file() and not any(name.match(pattern) for pattern in IGNORED_FILES)


def compare_files(old: Path, new: Path, plain: Callable[[str], str]) -> tuple[str, list[str]]:
    """How two files compare, and in what they differ.

    Args:
        old: The one.
        new: The other.
        plain: Takes out of a text what may differ, as folders.
    """
    if old.read_bytes() == new.read_bytes():
        return SAME, []
    try:
        texts = [plain(path.read_text(encoding="utf-8")) for path in (old, new)]
    except UnicodeDecodeError:
        return DIFFERENT, [f"{digest(old)} != {digest(new)}"]
    if old.suffix == ".json" or old.name in JSON_FILES:
        return compare_json(*texts, listed=old.name == MANIFEST)
    facts = facts_of
    if old.suffix in PROSE:
        texts = [TIMES.sub("TIME", text) for text in texts]
    elif old.suffix == ".py":
        facts = code_of
    else:
        facts = str
    diff = list(difflib.unified_diff(*(text.splitlines() for text in texts), "old", "new", lineterm="", n=0))
    if facts(texts[0]) != facts(texts[1]):
        return DIFFERENT, diff
    return (WORDS if diff else SAME), diff


def digest(path: Path) -> str:
    """The first half of a file's SHA-256."""
    return sha256(path.read_bytes()).hexdigest()[:32]


def code_of(text: str) -> str:
    """A module without its comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def facts_of(text: str) -> tuple[Any, Counter[str]]:
    """What must not change with the words of a document: its metadata, and its numbers, in any order."""
    head, body = re.fullmatch(r"(?:---\n(.*?)\n---\n)?(.*)", text, flags=re.DOTALL).groups()
    return yaml.safe_load(head or ""), Counter(NUMBER.findall(body))


def compare_json(old: str, new: str, *, listed: bool) -> tuple[str, list[str]]:
    """How two JSON texts compare: the same apart from times and versions, in other names, or different.

    Args:
        old: The one.
        new: The other.
        listed: Take the keys alone, of a list of files with their checksums.
    """
    given = [json.loads(text) for text in (old, new)]
    if listed:
        given = [each["what"] and sorted(each["files"]) for each in given]
    found = list(differences(*map(timeless, given), ""))
    notes = [f"{kind}: {text}" for kind, text in dict.fromkeys(found)]
    if all(kind == NAMES for kind, _ in found):
        return (NAMES if found else SAME), notes
    return DIFFERENT, notes[:40]


def timeless(given: Any) -> Any:
    """JSON without the keys about time, memory and versions."""
    if isinstance(given, dict):
        return {key: timeless(value) for key, value in given.items() if key not in IGNORED_KEYS}
    return [timeless(value) for value in given] if isinstance(given, list) else given


def differences(old: Any, new: Any, at: str) -> Iterator[tuple[str, str]]:
    """Pairs of a status and a note; a key that only the one has and a key that only the other has with its very value
    are one renamed.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        gone, come = [key for key in old if key not in new], [key for key in new if key not in old]
        for key in gone:
            twin = next((each for each in come if same(old[key], new[each])), None)
            if twin is None:
                yield DIFFERENT, f"{at}/{key} is gone"
            else:
                come.remove(twin)
                yield NAMES, f"{at}/{key} -> {twin}"
        yield from ((DIFFERENT, f"{at}/{key} is new: {json.dumps(new[key])[:80]}") for key in come)
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], f"{at}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from differences(one, other, f"{at}/*")
    elif json.dumps(old) != json.dumps(new):
        yield DIFFERENT, f"{at}: {json.dumps(old)[:80]} != {json.dumps(new)[:80]}"


def same(old: Any, new: Any) -> bool:
    """Whether two values are equal but for names."""
    return all(kind == NAMES for kind, _ in differences(old, new, ""))
