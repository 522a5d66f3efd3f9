"""The terms of a base model, which hold for what is made from it: its licence, and the files that must go with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from spectrum_suite.embedded_model import EMBEDDED_MODELS
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import split_card
from spectrum_suite.hub.local_files import LocalFile

NOTICE = "NOTICE"
GEMMA_NOTICE = b"Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n"
"""What the Gemma Terms of Use (section 3.1) want to go along with every copy and everything made from it."""

AS_BASE = "as-base-model"

_LICENSE_FILE = "LICENSE.md"
_LEGAL = re.compile(r"(?:LICEN[CS]E|NOTICE|USE_POLICY|COPYING)(?:[._-][\w.-]*)?", re.IGNORECASE)
_UNREACHABLE = (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, OSError, UserError)
_LARGEST = 2**20  # bytes of such a file
_GEMMA = "gemma"
_GEMMA_TYPES = re.compile(r"(?:recurrent_|pali|code|shield|t5_?)?gemma(?:[23]n?)?(?:_text)?")
"""Model types under the Gemma Terms of Use: those of later generations are under other terms."""


@dataclass(frozen=True)
class Terms:
    """Under what a model may be used.

    Attributes:
        license_name: As the Hub calls it, or ``other``.
        title: What an ``other`` licence is called.
        link: Where it is: a file of the repository, or an address.
        files: What must go along.
    """

    license_name: str
    title: str
    link: str | None
    files: tuple[LocalFile, ...] = ()


def terms_of(
    hub_id: str, base: str, scratch: Path, *, license_name: str | None = None, license_link: str | None = None
) -> Terms:
    """The terms of a base model: those that the user names, or those that come with it, here or on the Hub.

    Args:
        hub_id: Its name on the Hub.
        base: What was tuned: a folder, a name on the Hub or ``embedded:<name>``.
        scratch: An empty folder for files of a licence.
        license_name: What the user says, as the Hub calls it.
        license_link: Where its terms are.
    """
    kind, _, embedded = base.partition(":")
    if kind == "embedded" and not license_name:
        model = EMBEDDED_MODELS[embedded]
        return _complete(hub_id, Terms(model.license_name, AS_BASE, model.license_url))
    folder = Path(base).expanduser()
    said, files, model_type = _in_folder(folder) if folder.is_dir() else _on_hub(hub_id, scratch)
    if license_name:
        said = {"license": license_name, "license_link": license_link}
    elif not said.get("license") and _GEMMA_TYPES.fullmatch(model_type):
        said = {"license": _GEMMA}
    name = said.get("license")
    name = name if isinstance(name, str) and name else "other"
    return _complete(hub_id, Terms(name, str(said.get("license_name") or AS_BASE), said.get("license_link"), files))


def _complete(hub_id: str, terms: Terms) -> Terms:
    """The same with the files that its licence asks for, and a link to one of them where the Hub wants a link."""
    files = {file.name: file for file in terms.files}
    if terms.license_name == _GEMMA and not any(name.upper().startswith(NOTICE) for name in files):
        files[NOTICE] = LocalFile(NOTICE, GEMMA_NOTICE)
    if terms.license_name != "other":
        return Terms(terms.license_name, terms.title, terms.link, tuple(files.values()))
    licences = sorted(name for name in files if not name.upper().startswith(NOTICE))
    if not licences:
        where = terms.link if str(terms.link).startswith("http") else f"https://huggingface.co/{hub_id}"
        text = f"This is made from the weights of {hub_id}, and under the same terms: {where}\n"
        licences = [_LICENSE_FILE]
        files[_LICENSE_FILE] = LocalFile(_LICENSE_FILE, text.encode())
    return Terms("other", terms.title, licences[0], tuple(files.values()))


def _in_folder(folder: Path) -> tuple[Mapping[str, Any], tuple[LocalFile, ...], str]:
    """What a folder says of its licence, the files with it, and the type of the model."""
    said: Mapping[str, Any] = {}
    with suppress(OSError, ValueError):  # there is no card, or none that reads
        said = split_card((folder / "README.md").read_text(encoding="utf-8"), "the card of the base model")[0]
    files = tuple(
        LocalFile(path.name, path)
        for path in sorted(folder.iterdir())
        if _LEGAL.fullmatch(path.name) and path.is_file() and path.stat().st_size <= _LARGEST
    )
    model_type = ""
    with suppress(OSError, ValueError, AttributeError):
        model_type = str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))
    return said, files, model_type


def _on_hub(hub_id: str, scratch: Path) -> tuple[Mapping[str, Any], tuple[LocalFile, ...], str]:
    """The same of a repository; nothing where the Hub cannot be asked, which a push finds out itself."""
    api = HfApi(token=get_token() or False)
    try:
        info = api.model_info(hub_id, files_metadata=True)
    except _UNREACHABLE:
        return {}, (), ""
    files = []
    for each in info.siblings or ():
        if _LEGAL.fullmatch(each.rfilename) and (each.size or 0) <= _LARGEST:
            with suppress(*_UNREACHABLE):  # a gated repository shows what it has, and gives it to some only
                api.hf_hub_download(hub_id, each.rfilename, revision=info.sha, local_dir=scratch)
                files.append(LocalFile(each.rfilename, scratch / each.rfilename))
    said = info.card_data.to_dict() if info.card_data else {}
    return said, tuple(files), str((info.config or {}).get("model_type", ""))
