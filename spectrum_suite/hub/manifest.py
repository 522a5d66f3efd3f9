"""The list of what an earlier push made, kept in the repository itself: what is not on it, a push leaves alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from spectrum_suite.errors import UserError
from spectrum_suite.hub.answers import Repository
from spectrum_suite.hub.local_files import LocalFile

MANIFEST = ".push_to_hub.json"

_LARGEST_IN_GIT = 10 * 2**20
"""Bytes above which a Hub keeps a file elsewhere, so that git's id of it is never asked for."""


@dataclass(frozen=True)
class Listed:
    """A file as it was published.

    Attributes:
        size: Bytes.
        sha256: Of the content.
        git_oid: Id of its git blob; None for a file that git does not hold.
    """

    size: int
    sha256: str
    git_oid: str | None

    @classmethod
    def of(cls, file: LocalFile) -> Listed:
        """How a file that is about to be published is listed."""
        return cls(file.size, file.sha256, file.git_oid if file.size <= _LARGEST_IN_GIT else None)


@dataclass(frozen=True)
class Manifest:
    """What a push made.

    Attributes:
        what: The kind of thing: a suite, a metric, ...
        card: SHA-256 of the card before it was merged with what people wrote.
        files: All other files, by their names.
    """

    what: str
    card: str
    files: Mapping[str, Listed]

    @classmethod
    def of(cls, what: str, card: str, files: Iterable[LocalFile]) -> Manifest:
        """The manifest of what is about to be published."""
        return cls(what, sha256(card.encode()).hexdigest(), {file.name: Listed.of(file) for file in files})

    @classmethod
    def read(cls, text: str | None, repository: Repository) -> Manifest | None:
        """The manifest in a repository; None where there is none.

        Raises:
            UserError: It does not read.
        """
        if text is None:
            return None
        try:
            found = json.loads(text)
            files = {
                str(name): Listed(int(entry["size"]), str(entry["sha256"]), entry["git_oid"])
                for name, entry in found["files"].items()
            }
            return cls(str(found["what"]), str(found["card"]), files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"file {MANIFEST!r} in {repository}, the list of what an earlier push made, does not read: restore it "
                "from the repository's history, or delete it and give --overwrite"
            ) from error

    def text(self) -> str:
        """As it is kept."""
        files = {name: asdict(listed) for name, listed in sorted(self.files.items())}
        content = {"made_by": "push_to_hub.py", "what": self.what, "card": self.card, "files": files}
        return json.dumps(content, indent=1) + "\n"
