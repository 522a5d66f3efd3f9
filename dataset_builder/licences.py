"""What the licence of a source allows and requires: commercial use, its address, attribution, notices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from dataset_builder.task_spec import Source, TaskSpec

FOLDER = "LICENSES"
"""The folder of a suite with the notices of its sources."""

_TEXTS = Path(__file__).parent / "templates" / "licences"
APACHE = _TEXTS / "Apache-2.0.txt"
"""The text of the licence of this project, and of the sources that have it."""

_NOTICE = {"mit": "MIT", "isc": "ISC"}  # licence -> the text that must accompany its copyright notice
_ADDRESSES = {
    "mit": "https://opensource.org/license/mit",
    "isc": "https://opensource.org/license/isc-license-txt",
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "cc-by": "https://creativecommons.org/licenses/by/4.0/",  # the version is the newest where upstream names none
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
}
_COMMERCIAL = {*_ADDRESSES, "public-domain"}
_CREATIVE_COMMONS = re.compile(r"\bcc[ -](by(?:-nc)?(?:-sa|-nd)?)[ -](\d\.\d)", re.IGNORECASE)


def commercial_use(source: Source) -> Literal["yes", "no", "unknown"]:
    """Whether the terms of a source allow commercial use, as far as they say."""
    if source.commercial:
        return source.commercial
    found = _CREATIVE_COMMONS.findall(source.license)
    if any("nc" in kind.lower() for kind, _ in found):
        return "no"
    return "yes" if found or _key(source) in _COMMERCIAL else "unknown"


def addresses(source: Source) -> list[str]:
    """Where the text of a source's licence is; nothing for a licence that is not a common one."""
    found = [
        f"https://creativecommons.org/licenses/{kind.lower()}/{version}/"
        for kind, version in _CREATIVE_COMMONS.findall(source.license)
    ]
    return found or [_ADDRESSES[key] for key in [_key(source)] if key in _ADDRESSES]


def attribution(source: Source) -> str:
    """The statement that a Creative Commons or ODC licence requires; empty where none is."""
    if source.attribution:
        return source.attribution
    where = addresses(source)
    if not any("creativecommons.org/licenses" in address or "opendatacommons" in address for address in where):
        return ""
    return (
        f'"{source.title}" by {source.creators or source.citation}, {source.homepage}, is licensed under '
        f"{_name(source)} ({', '.join(where)}). It was changed: its rows became draws of processes, and faults of its "
        "texts were repaired. It comes without warranties."
    )


def notice_file(source: Source) -> str:
    """The file of a suite with the notices that the licence of a source requires; empty where it requires none."""
    if source.notices:
        return f"{FOLDER}/{source.name}.txt"
    return f"{FOLDER}/Apache-2.0.txt" if _key(source) == "apache-2.0" and source.files else ""


def licence_files(specs: Iterable[TaskSpec]) -> dict[str, str]:
    """The files about licences that a suite of these tasks has: name -> text."""
    sources = {spec.source.name: spec.source for spec in specs}
    return {file: _notices(sources[name]) for name in sorted(sources) if (file := notice_file(sources[name]))}


def _key(source: Source) -> str:
    """The licence as a key: ``mit`` for "MIT; the file has another notice"."""
    return re.split(r"[;(,:]", source.license)[0].strip().lower().replace(" ", "-")


def _name(source: Source) -> str:
    """The licence as Creative Commons writes it, "CC BY-SA 4.0" for ``cc-by-sa-4.0``."""
    found = _CREATIVE_COMMONS.fullmatch(source.license)
    return f"CC {found[1].upper()} {found[2]}" if found else source.license


def _notices(source: Source) -> str:
    if not source.notices:
        return APACHE.read_text(encoding="utf-8")
    first, *others = source.notices
    if licence := _NOTICE.get(_key(source)):
        first = (_TEXTS / f"{licence}.txt").read_text(encoding="utf-8").replace("{notice}", first)
    notices = [f"{source.title}, {source.homepage}", first, *others]
    return "\n\n".join(notice.strip() for notice in notices) + "\n"
