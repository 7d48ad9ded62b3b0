"""Hostile files of the tenant ``evil``, seeded, each with the reasons that may answer its lines."""

from __future__ import annotations

import gzip
import io
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.hostile import dumps, usage
from tests.support.hostile_values import ANY, FILE, Hostile

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parquet(columns: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


def _table(number: int, **more: Any) -> dict[str, Any]:
    return {name: [value] for name, value in usage(number).items() if name != "data"} | {"data": ['{"n":1}']} | more


def _strange_table(rng: random.Random, number: int) -> dict[str, Any]:
    digits = pa.array([int("7" * 70)], pa.decimal256(76, 0)) if number % 2 else pa.array([7])
    columns: list[dict[str, Any]] = [
        {"data": pa.StructArray.from_arrays([digits], ["n"])},
        {"data": [b"\xff\xfe"]},
        {"data": pa.array([{"b": b"\xff"}])},
        {"data": pa.array([{"n": float("nan")}])},
        {"data": pa.array([{"n": 2**63 - 1}])},
        {"data": pa.array([{"n": [{"a": None}]}])},
        {"data": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))},
        {"time": pa.array([2**63 - 1], pa.timestamp("us", "UTC"))},
        {"time": pa.array([-(2**62)], pa.timestamp("ms"))},
        {"time": pa.array([2**31 - 1], pa.date32())},
        {"id": pa.array([None], pa.null())},
        {"id": pa.array([1.5])},
        {"id": pa.array([["a"]])},
        {"source": pa.array(["s"]).dictionary_encode()},
        {"subject": pa.array([123], pa.duration("us"))},
        {"specversion": pa.array([True])},
        {"tenant": ["good"]},
    ]
    return _table(number, **rng.choice(columns))


def _flipped(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 3, 20])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def files(count: int, seed: int = 1) -> Iterator[Hostile]:
    """Hostile files for the landing folder of ``evil``. Names are those of a file system: they may be no text."""
    rng = random.Random(seed)
    lines = [dumps(usage(2 * 10**6 + number)).encode() for number in range(20)]
    ndjson = b"\n".join(lines) + b"\n"
    header = b"specversion,id,source,type,subject,time,data\n"
    row = b'1.0,f-%d,s,call,c-1,2024-01-05T00:00:00Z,"{""n"": 1}"\n'
    table = header + b"".join(row % number for number in range(20))
    for number in range(count):
        parquet = _parquet(_strange_table(rng, 3 * 10**6 + number))
        noise = rng.randbytes(rng.choice([1, 100, 5_000]))
        form = rng.choice(["ndjson", "json", "csv", "parquet", "ndjson.gz", "csv.zst", "parquet.gz"])
        any_of_file = ANY | FILE
        items = [
            ("random bytes", f"r-{number}.{form}", noise, any_of_file),
            (
                "another content than its name says",
                f"o-{number}.{form}",
                rng.choice([ndjson, table, parquet, b"PK\x03\x04", b"PAR1", b""]),
                any_of_file,
            ),
            ("bits flipped in Parquet", f"p-{number}.parquet", _flipped(rng, parquet), any_of_file),
            ("a cut Parquet", f"u-{number}.parquet", parquet[: rng.randrange(len(parquet))], any_of_file),
            ("strange columns", f"s-{number}.parquet", parquet, any_of_file),
            ("bits flipped in gzip", f"g-{number}.ndjson.gz", _flipped(rng, gzip.compress(ndjson)), any_of_file),
            ("a cut gzip", f"h-{number}.csv.gz", gzip.compress(table)[: -rng.randrange(1, 40)], any_of_file),
            (
                "line ends of an old Mac",
                f"m-{number}.{rng.choice(['csv', 'ndjson'])}",
                rng.choice([table, ndjson]).replace(b"\n", b"\r"),
                any_of_file,
            ),
            ("quotes that never close", f"q-{number}.csv", header + b'"' * 7 + table, any_of_file),
            ("no columns that are known", f"n-{number}.csv", b"a,b\n1,2\n", FILE),
            ("the same column twice", f"t-{number}.csv", b"id," + table, any_of_file),
            ("NUL in CSV", f"z-{number}.csv", table.replace(b"call", b"c\x00ll"), any_of_file),
            ("a broken list", f"l-{number}.json", b"[" + lines[0] + b"," * rng.randrange(3), any_of_file),
            ("a deep list", f"d-{number}.json", b"[" * 100_000, any_of_file),
            ("a name that is no UTF-8", f"caf\udce9-{number}.ndjson", ndjson, FILE),
            ("a name with a line end", f"a\n-{number}.ndjson", ndjson, FILE),
            ("a long name", f"{'x' * 200}-{number}.ndjson", ndjson, any_of_file),
            ("bytes that expand", f"e-{number}.ndjson.gz", gzip.compress(bytes(2**20)), any_of_file),
        ]
        kind, name, content, reasons = rng.choice(items)
        yield Hostile(kind, content, reasons, name)
