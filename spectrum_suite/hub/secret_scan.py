"""What a secret looks like: the rules of `detect-secrets` that do not guess, with what they lack, and the user's token.

A text is looked through twice. One regular expression for all rules, without look-around so that Arrow's linear-time
engine can run it, finds the few texts that may hold something; the rules themselves then decide.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from detect_secrets.filters.heuristic import is_templated_secret
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from huggingface_hub import constants
from huggingface_hub.utils import get_stored_tokens
from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.weights import SAFETENSORS, read_header

SHORTEST_TOKEN = 8
"""Characters of a token of the user's; a shorter one is not a secret, but a word that may stand anywhere."""

REDACTED = "<secret>"

_PARQUET = ".parquet"
_PIECE, _OVERLAP = 2**20, 2**12  # bytes; no secret is longer than the second
_ROWS = 256
"""Rows of a Parquet file that are looked through at a time."""


class HubTokenDetector(RegexBasedDetector):
    """Tokens of users and organisations of the Hub."""

    secret_type = "Hugging Face"  # noqa: S105
    denylist = (re.compile(r"(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{20,}"),)


class SkKeyDetector(RegexBasedDetector):
    """Keys that start with ``sk-``: OpenAI's of a project, an account or without a mark, and those like them."""

    secret_type = "OpenAI"  # noqa: S105
    denylist = (re.compile(r"(?<![A-Za-z0-9_-])sk-(?!ant-)(?:[a-z0-9]{2,10}-)*[A-Za-z0-9_]{32,}"),)


class OpenAIProjectKeyDetector(RegexBasedDetector):
    """OpenAI's keys of a project, a service account or an administrator, in which there may be dashes."""

    secret_type = "OpenAI"  # noqa: S105
    denylist = (re.compile(r"(?<![A-Za-z0-9_-])sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}"),)


class AnthropicKeyDetector(RegexBasedDetector):
    """Anthropic's keys."""

    secret_type = "Anthropic"  # noqa: S105
    denylist = (re.compile(r"sk-ant-[A-Za-z0-9_-]{20,}"),)


class GitHubFineGrainedTokenDetector(RegexBasedDetector):
    """GitHub's newer tokens."""

    secret_type = "GitHub"  # noqa: S105
    denylist = (re.compile(r"github_pat_[A-Za-z0-9_]{22,}"),)


class AWSIdDetector(RegexBasedDetector):
    """The public half of a key of AWS; without the edges, and with the old ``A3T``, ids of crowd workers would do."""

    secret_type = "AWS"  # noqa: S105
    denylist = (re.compile(r"(?<![A-Za-z0-9])(?:ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),)


class AWSSecretDetector(RegexBasedDetector):
    """The secret half of a key of AWS, with and without quotes."""

    secret_type = "AWS"  # noqa: S105
    denylist = (
        AWSKeyDetector.denylist[1],
        re.compile(r"secret_?access_?key[^A-Za-z0-9]{1,8}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", re.IGNORECASE),
        re.compile(
            r"aws[^\n]{0,30}?(?:secret|key)[^\n=:]{0,10}[=:]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
            re.IGNORECASE,
        ),
    )


class GoogleKeyDetector(RegexBasedDetector):
    """Google's keys of an API and of OAuth; ``AIza`` alone stands in every large file in base 64."""

    secret_type = "Google"  # noqa: S105
    denylist = (
        re.compile(r"(?<![A-Za-z0-9_/+-])AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9_/+=-])"),
        re.compile(r"GOCSPX-[A-Za-z0-9_-]{28}"),
        re.compile(r"(?<![A-Za-z0-9_/+-])ya29\.[A-Za-z0-9_-]{30,}"),
    )


class SlackTokenDetector(RegexBasedDetector):
    """Slack's tokens of every kind."""

    secret_type = "Slack"  # noqa: S105
    denylist = (re.compile(r"(?<![A-Za-z0-9])(?:xox[a-z](?:\.xox[a-z])?-|xapp-\d-)[A-Za-z0-9-]{10,}"),)


class PrivateKeyBlockDetector(RegexBasedDetector):
    """Private keys of every algorithm, encrypted ones too."""

    secret_type = "private key"  # noqa: S105
    denylist = (
        re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
        re.compile(r"PuTTY-User-Key-File-\d"),
    )


class UrlPasswordDetector(RegexBasedDetector):
    """Passwords in addresses, with the characters that the rule of `detect-secrets` takes for the end of them."""

    secret_type = "password in an address"  # noqa: S105
    denylist = (re.compile(r":(?:\\?/){2}[^\s/:@\\\"'<>]*:([^\s/@\\\"<>]+)@[A-Za-z0-9\[]"),)

    def analyze_string(self, string: str) -> Iterable[str]:
        """Leave out ``{password}``, ``$PASSWORD``, ``***`` and the like, which stand for one."""
        return (found for found in super().analyze_string(string) if not _stands_for_one(found))


class TemplatedBasicAuthDetector(BasicAuthDetector):
    """The rule of `detect-secrets`, without what stands for a password."""

    def analyze_string(self, string: str) -> Iterable[str]:
        """As :class:`UrlPasswordDetector`."""
        return (found for found in super().analyze_string(string) if not _stands_for_one(found))


@dataclass(frozen=True)
class Rule:
    """A kind of secret.

    Attributes:
        what: What it is, with its article.
        whose: The service that it opens, or what it is a secret of.
        quick: A regular expression without look-around for all texts that may hold one.
        detectors: What decide.
    """

    what: str
    whose: str
    quick: str
    detectors: tuple[RegexBasedDetector, ...]

    @property
    def name(self) -> str:
        """For people: ``an access token in it (Hugging Face)``."""
        return f"{self.what} in it ({self.whose})"

    def finds(self, text: str) -> list[str]:
        """The parts of a text that hold a secret of this kind; a detector's own answer may be a piece of it."""
        parts = [
            (detector, match[0])
            for detector in self.detectors
            for form in detector.denylist
            for match in form.finditer(text)
        ]
        return [part for detector, part in parts if any(detector.analyze_string(part))]


RULES = (
    Rule("an access token", "Hugging Face", r"(?:hf|api_org)_[A-Za-z0-9]{12}", (HubTokenDetector(),)),
    Rule("an API key", "Anthropic", r"sk-ant-[A-Za-z0-9_-]{8}", (AnthropicKeyDetector(),)),
    Rule(
        "an API key", "OpenAI or alike", r"sk-[A-Za-z0-9_-]{12}",
        (OpenAIDetector(), OpenAIProjectKeyDetector(), SkKeyDetector()),
    ),
    Rule(
        "an access token", "GitHub", r"gh[pousr]_[A-Za-z0-9_]{12}|github_pat_[A-Za-z0-9]",
        (GitHubTokenDetector(), GitHubFineGrainedTokenDetector()),
    ),
    Rule(
        "an access key", "AWS",
        r"(?:ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{8}|(?i:aws[^\n]{0,30}(?:key|pwd|pw|pass|token|secret))[^\n]{0,24}[=:'\"]\s*['\"]?[A-Za-z0-9/+]{24}"
        r"|(?i:secret_?access_?key)[^A-Za-z0-9]",
        (AWSIdDetector(), AWSSecretDetector()),
    ),
    Rule(
        "an API key", "Google", r"AIza[0-9A-Za-z_-]{12}|GOCSPX-|ya29\.[A-Za-z0-9_-]{8}",
        (GoogleKeyDetector(),),
    ),
    Rule(
        "an access token", "Slack", r"[xX][oO][xX][a-zA-Z][.-]|xapp-[0-9]-|(?i:hooks\.slack\.com)",
        (SlackDetector(), SlackTokenDetector()),
    ),
    Rule(
        "a private key", "for encryption or signatures", r"PRIVATE KEY|PuTTY-User-Key-File|BEGIN SSH2 ENCRYPTED",
        (PrivateKeyDetector(), PrivateKeyBlockDetector()),
    ),
    Rule(
        "a password", "in a URL", r":\\?/\\?/[^\s/:@]*:[^\s/@]+@",
        (TemplatedBasicAuthDetector(), UrlPasswordDetector()),
    ),
    Rule("a signed token", "JSON Web Token", r"eyJ[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+", (JwtTokenDetector(),)),
    Rule("an account key", "Azure", r"AccountKey=", (AzureStorageKeyDetector(),)),
    Rule(
        "an access token", "GitLab", r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent)-|gloas-|GR1348941",
        (GitLabTokenDetector(),),
    ),
    Rule("an access token", "npm", r"_authToken=", (NpmDetector(),)),
    Rule("an access token", "PyPI", r"pypi-Ag", (PypiTokenDetector(),)),
    Rule("an API key", "SendGrid", r"SG\.[a-zA-Z0-9_-]{8}", (SendGridDetector(),)),
    Rule("an API key", "Mailchimp", r"[0-9a-z]-us[0-9]", (MailchimpDetector(),)),
    Rule("an API key", "Stripe", r"[rs]k_live_", (StripeDetector(),)),
    Rule("a secret", "Square", r"sq0csp-", (SquareOAuthDetector(),)),
)  # fmt: skip
"""All kinds; what guesses by entropy or by the word before a value is not among them."""


def quick_expression(own: Iterable[str] = ()) -> str:
    """One regular expression for texts that may hold a secret, or one of the user's ``own`` tokens."""
    return "|".join([*(rule.quick for rule in RULES), *map(_literal, own)])


def found_in(text: str, own: Iterable[str] = ()) -> str | None:
    """The kind of the first secret in a text, for people; None where there is none. The secret itself is not shown."""
    if any(token in text for token in own):
        return "an access token in it (your own)"
    return next((rule.name for rule in RULES if re.search(rule.quick, text) and rule.finds(text)), None)


def redacted(text: str, own: Iterable[str] = ()) -> str:
    """A text for the screen: with every secret taken out."""
    for token in own:
        text = text.replace(token, REDACTED)
    for rule in RULES:
        if re.search(rule.quick, text):
            for found in sorted(rule.finds(text), key=len, reverse=True):
                text = text.replace(found, REDACTED)
    return text


def own_tokens(*more: str | None) -> tuple[str, ...]:
    """The tokens of this user for the Hub, wherever they are kept, and those given; longest first."""
    return tuple(sorted({*_kept_tokens(), *filter(_is_secret, more)}, key=len, reverse=True))


def _kept_tokens() -> frozenset[str]:
    named = [os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")]
    with suppress(OSError, ValueError):  # there is none, or nobody may read it
        named += [Path(constants.HF_TOKEN_PATH).read_text(encoding="utf-8")]
    with suppress(OSError, ValueError):
        named += get_stored_tokens().values()
    return frozenset(token.strip() for token in named if _is_secret(token))


def _is_secret(token: str | None) -> bool:
    return token is not None and len(token.strip()) >= SHORTEST_TOKEN


def _stands_for_one(password: str) -> bool:
    return is_templated_secret(password) or password[0] in "{<$%[" or not password.strip("*x.")


def _literal(text: str) -> str:
    """A regular expression for a text, in the syntax that all engines share."""
    return "".join(letter if letter.isalnum() or letter in "_-" else f"\\x{{{ord(letter):x}}}" for letter in text)


class SecretScan:
    """Looks for secrets of every kind of :data:`spectrum_suite.hub.secret_scan.RULES`, and for the user's own tokens.

    Args:
        token: One that the user gave, besides those that are kept on this machine.
    """

    def __init__(self, token: str | None = None) -> None:
        self._own = own_tokens(token)
        self._quick = quick_expression(self._own)

    def check(self, files: Iterable[LocalFile], texts: Iterable[tuple[str, str]] = ()) -> None:
        """Look through files, and through texts, each after what it is for people.

        Raises:
            UserError: There is a secret. Where it is and its kind are named, the secret is not.
        """
        for name, text in texts:
            _refuse(name, found_in(text, self._own))
        for file in tqdm(list(files), desc="looking for secrets", unit="file", leave=False, disable=None):
            _refuse("the name of a file", found_in(file.name, self._own))
            for where, piece in self._suspects(file):
                _refuse(f"file {file.name!r}{where}", found_in(piece, self._own))

    def _suspects(self, file: LocalFile) -> Iterator[tuple[str, str]]:
        """Where in the file, and the text there, of all pieces that may hold a secret."""
        if file.name.endswith(_PARQUET):
            yield from self._suspect_cells(file)
        for piece in _pieces(file):
            yield from self._matching("", pa.array(_readings(piece), pa.binary()))

    def _suspect_cells(self, file: LocalFile) -> Iterator[tuple[str, str]]:
        """Those of a Parquet file: every text in it, and what it says of itself."""
        with open_parquet(file) as table:
            yield from self._matching(" (metadata)", pa.array(_said_by(table.schema_arrow), pa.large_string()))
            for column in table.schema_arrow.names:
                for batch in table.iter_batches(_ROWS, columns=[column]):
                    for texts in _texts_in(batch.column(0)):
                        yield from self._matching(f" (column {column!r})", texts)

    def _matching(self, where: str, texts: pa.Array) -> Iterator[tuple[str, str]]:
        for found in texts.filter(pc.match_substring_regex(texts, self._quick)).to_pylist():
            yield where, found.decode("utf-8", "replace") if isinstance(found, bytes) else found


def open_parquet(file: LocalFile) -> pq.ParquetFile:
    """A Parquet file, to be read a row group at a time.

    Raises:
        UserError: It is not one, or is incomplete.
    """
    source = pa.BufferReader(file.source) if isinstance(file.source, bytes) else file.source
    try:
        return pq.ParquetFile(source, pre_buffer=False, memory_map=False)
    except (pa.ArrowInvalid, OSError) as error:
        why = str(error).splitlines()[0].partition(" Either")[0].rstrip(".")
        raise UserError(f"file {file.name!r} is not valid Parquet ({why}): build or save it again") from error


def _refuse(what: str, found: str | None) -> None:
    if found:
        raise UserError(f"{what} has {found}: take it out, and revoke it; nothing was sent")


def _pieces(file: LocalFile) -> Iterator[bytes]:
    """The bytes of a file that may be text, each piece with the end of the one before."""
    if Path(file.name).suffix == SAFETENSORS:  # the rest is numbers, and as long as the header says
        yield read_header(file)
        return
    if file.name.endswith(_PARQUET):
        return
    tail = b""
    for block in file.blocks(_PIECE):
        yield tail + block
        tail = block[-_OVERLAP:]


def _readings(piece: bytes) -> list[bytes]:
    """A piece as it is and, where it has zero bytes, as UTF-16 or UTF-32 of either order would read it."""
    return [piece, piece.replace(b"\0", b"")] if b"\0" in piece else [piece]


def _said_by(schema: pa.Schema) -> list[str]:
    """What a schema says besides types: its metadata and its fields', and their names."""
    said = [_of_pairs(schema.metadata)]
    fields = [schema.field(place) for place in range(len(schema))]
    while fields:
        field = fields.pop()
        said += [field.name, _of_pairs(field.metadata)]
        fields += [field.type.field(place) for place in range(field.type.num_fields)]
    return said


def _of_pairs(metadata: dict[bytes, bytes] | None) -> str:
    pairs = (metadata or {}).items()
    return "\n".join(re.sub(r"\0", "", part.decode("utf-8", "replace")) for pair in pairs for part in pair)


def _texts_in(column: pa.Array) -> Iterator[pa.Array]:
    """All texts in a column, whatever they are nested in."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _texts_in(column.storage)
    elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        yield column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield column
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        yield pa.array([each for cell in column.to_pylist() if cell for each in _readings(cell)], pa.large_binary())
    elif pa.types.is_dictionary(kind):
        yield from _texts_in(column.dictionary)
    elif pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _texts_in(part)
    elif pa.types.is_map(kind):
        yield from _texts_in(column.keys)
        yield from _texts_in(column.items)
    elif pa.types.is_nested(kind):
        yield from _texts_in(column.flatten())
