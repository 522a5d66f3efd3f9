"""Answers of a service on disk, so that nothing is asked, or paid for, twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from spectrum_suite.errors import UserError

_BUSY_S = 60.0
_AT_A_TIME = 500  # keys in a query; SQLite takes a limited number


class AnswerStore:
    """Key -> answer, in a SQLite file that survives a process that is killed while it writes.

    An answer is in the file when :meth:`keep` returns. Several processes and threads may share a file.

    Args:
        path: The file; None keeps answers in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = sqlite3.connect(
                ":memory:" if path is None else path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def find(self, keys: Iterable[str]) -> dict[str, Any]:
        """Key -> answer, of those that are kept.

        Raises:
            UserError: The file is damaged.
        """
        keys, found = list(dict.fromkeys(keys)), {}
        try:
            for start in range(0, len(keys), _AT_A_TIME):
                some = keys[start : start + _AT_A_TIME]
                marks = ", ".join("?" * len(some))
                with self._lock:
                    rows = self._file.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some)  # noqa: S608
                    found |= {key: json.loads(answer) for key, answer in rows}
        except (sqlite3.Error, ValueError) as error:
            raise self._failed(error) from error
        return found

    def keep(self, key: str, answer: Any) -> None:
        """Keep an answer, whatever JSON can hold; the one that came first stays.

        Raises:
            UserError: It cannot be written.
        """
        try:
            with self._lock:
                self._file.execute(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, json.dumps(answer, ensure_ascii=True))
                )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def sums(self, names: Sequence[str]) -> dict[str, int]:
        """The sum over all that is kept of each number of its object ``usage``.

        Raises:
            UserError: The file is damaged.
        """
        columns = ", ".join(f"SUM(json_extract(answer, '$.usage.{name}'))" for name in names)
        try:
            with self._lock:
                (row,) = self._file.execute(f"SELECT {columns} FROM answers")  # noqa: S608 - names of ours
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return {name: value or 0 for name, value in zip(names, row, strict=True)}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _failed(self, error: Exception) -> UserError:
        return UserError(
            f"the answers in {str(self.path)!r} cannot be read or written ({error}): free space, or remove the "
            "file, after which everything is asked again"
        )
