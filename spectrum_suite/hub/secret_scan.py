"""Look for secrets in everything that is about to be sent, whatever its format, a piece at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.secret_rules import found_in, own_tokens, quick_expression
from spectrum_suite.hub.weights import SAFETENSORS, read_header

_PARQUET = ".parquet"
_PIECE, _OVERLAP = 2**20, 2**12  # bytes; no secret is longer than the second
_ROWS = 256
"""Rows of a Parquet file that are looked through at a time."""


class SecretScan:
    """Looks for secrets of every kind of :data:`spectrum_suite.hub.secret_rules.RULES`, and for the user's own tokens.

    Args:
        token: One that the user gave, besides those that are kept on this machine.
    """

    def __init__(self, token: str | None = None) -> None:
        self._own = own_tokens(token)
        self._quick = quick_expression(self._own)

    def check(self, files: Iterable[LocalFile], texts: Iterable[tuple[str, str]] = ()) -> None:
        """Look through files, and through texts, each after what it is for people.

        Raises:
            UserError: There is a secret. What it is in and its kind are told, the secret is not.
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
        UserError: It is not one, or not whole.
    """
    source = pa.BufferReader(file.source) if isinstance(file.source, bytes) else file.source
    try:
        return pq.ParquetFile(source, pre_buffer=False, memory_map=False)
    except (pa.ArrowInvalid, OSError) as error:
        why = str(error).splitlines()[0].partition(" Either")[0].rstrip(".")
        raise UserError(f"file {file.name!r} does not read as Parquet ({why}): build or save it again") from error


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
    """What a schema says beside types: its metadata and its fields', and their names."""
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
