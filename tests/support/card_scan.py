"""Looks for texts in all that an installation stores: a dump of its databases, and every file."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from psycopg import sql

from valueverse.events.payment_numbers import card_numbers
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

_TABLES = """
    select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2"""

_BYTES = re.compile(r"\\\\x((?:[0-9a-f]{2})*)")
_ZSTD = b"\x28\xb5\x2f\xfd"


def places_with_card_numbers(settings: Settings) -> dict[str, list[str]]:
    """Table or file -> the card numbers in it, in all databases of the installation and below its home."""
    return places_with(settings, card_numbers)


def places_with(settings: Settings, look: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """Table or file -> what ``look`` finds in its text, where it finds something."""
    texts = [*_dumped(settings, settings.database_name), *_dumped(settings, settings.dagster_database)]
    texts += [(str(path.relative_to(settings.home)), text) for path in _files(settings.home) for text in _texts(path)]
    found: dict[str, list[str]] = {}
    for place, text in texts:
        if hits := look(text):
            found.setdefault(place, []).extend(hits)
    return found


def _dumped(settings: Settings, database: str) -> Iterator[tuple[str, str]]:
    with connect(settings, "admin", database=database) as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            name = sql.Identifier(schema, table)
            with connection.cursor().copy(sql.SQL("copy (select * from {}) to stdout").format(name)) as rows:
                text = b"".join(bytes(part) for part in rows).decode()
            yield f"{schema}.{table}", _BYTES.sub(lambda found: _bytes_text(bytes.fromhex(found[1])), text)


def _bytes_text(raw: bytes) -> str:
    whole = pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read() if raw.startswith(_ZSTD) else raw
    return str(whole, errors="replace")


def _files(home: Path) -> Iterator[Path]:
    return (path for path in sorted(home.rglob("*")) if path.is_file() and "postgres" not in path.parts)


def _texts(path: Path) -> list[str]:
    """What a file says: columns of text of a Parquet file, else its bytes, expanded."""
    if path.suffix == ".parquet":
        texts = pl.scan_parquet(path).select(pl.selectors.string()).collect()
        return [str(value) for column in texts for value in column.drop_nulls().unique()]
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read()
    return [raw.decode(errors="replace")]
