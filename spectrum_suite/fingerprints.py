"""Short hashes by which rows, settings and files are known to be the same as before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

HEX_DIGITS = 16


def fingerprint(content: Any) -> str:
    """16 hexadecimal digits that change with ``content``, whatever JSON can hold; the order of keys does not count."""
    return fingerprint_of_bytes([_json(content)])


def fingerprint_of_rows(rows: Iterable[Any]) -> str:
    """The same of rows one after another, which are not held together."""
    return fingerprint_of_bytes(map(_json, rows))


def fingerprint_of_bytes(parts: Iterable[bytes]) -> str:
    """16 hexadecimal digits that change with the bytes of ``parts``, put together."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:HEX_DIGITS]


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
