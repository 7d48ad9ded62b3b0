"""Reads Parquet for another process, in bounded memory. Run as a script, so that it imports Arrow and nothing else.

In, a line each: {"path", "columns"}. Out: a line {"names": [...]} or {"error": ...}; after names an Arrow stream of
those of ``columns`` that are there, texts as bytes, and a line {} or {"error": ...}.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS: tuple[int, ...] = (131_072, 32_768, 8_192, 1_024, 16)
"""Rows read at once; fewer where rows are long, or so many do not fit: a few compressed bytes can be long texts."""
_MOST_READ = 64 * 2**20
"""Bytes that rows read at once should come to, estimated from the first rows of the file."""
_MOST_SENT = 32 * 2**20
"""Bytes of a batch that is sent, unless a single row holds more: what the other process works on at once."""
_CALENDAR = (-719_162, 2_932_896)
"""Days from 1970-01-01 to 0001-01-01 and to 9999-12-31: others have no dates beyond them."""
_FARTHEST = 260_000 * 365
"""Days from 1970-01-01 to an instant that can still be written as a text."""
_A_DAY = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
_MOST_SECONDS = 300
"""To read one batch; a reader that goes round in circles is ended by the alarm."""


def _bounded(most: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123 - nothing but Arrow is imported
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + most, used + most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _sent(field: pa.Field) -> pa.Field:
    """The type a column is sent in: texts as bytes, since a file's texts may be none."""
    kind = field.type
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return field.with_type(pa.large_binary())
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        return field.with_type(pa.large_binary())
    return field.with_type(_plain(kind))


_AS_TEXT = (
    pa.types.is_date,
    pa.types.is_decimal,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Decimals, also inside of structs and lists, as texts: 76 digits are more than others can hold. So are bytes and
    dates. An instant is in UTC, whatever zone stands beside it."""
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    if any(of_kind(kind) for of_kind in _AS_TEXT):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct(
            [kind.field(index).with_type(_plain(kind.field(index).type)) for index in range(kind.num_fields)]
        )
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain(kind.value_type))
    return kind


def _converted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column.type, pa.DictionaryType):
        column = column.dictionary_decode()
    if column.type == kind:
        return column
    if pa.types.is_date(column.type):
        return _dates(column.cast(pa.int32()) if pa.types.is_date32(column.type) else _days(column))
    if pa.types.is_struct(kind):
        parts = [_converted(column.field(index), kind.field(index).type) for index in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=column.is_null())
    if pa.types.is_large_binary(kind) and pa.types.is_large_string(column.type):
        return column.view(kind)
    return column.cast(kind)


def _days(column: pa.Array) -> pa.Array:
    """Days since 1970-01-01 of a column of milliseconds (date64)."""
    milliseconds = column.cast(pa.int64())
    days = pc.divide(milliseconds, 86_400_000)
    return pc.if_else(pc.less(milliseconds, pc.multiply(days, 86_400_000)), pc.subtract(days, 1), days)


def _dates(days: pa.Array) -> pa.Array:
    """Texts such as 2024-01-31; of a day outside the calendar its number, which is no date to whoever reads it."""
    inside = pc.and_(pc.greater_equal(days, _CALENDAR[0]), pc.less_equal(days, _CALENDAR[1]))
    shown = pc.if_else(inside, days, 0).cast(pa.int32()).cast(pa.date32()).cast(pa.string())
    return pc.if_else(inside, shown, pc.binary_join_element_wise("day", days.cast(pa.string()), " "))


def _check_instants(column: pa.Array) -> None:
    """Raise ValueError for an instant, also inside of structs and lists, that has no name in any calendar."""
    kind = column.type
    if pa.types.is_struct(kind):
        for part in column.flatten():
            _check_instants(part)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        _check_instants(column.flatten())
    elif pa.types.is_timestamp(kind):
        ends = pc.min_max(column.cast(pa.int64()))
        most = _FARTHEST * _A_DAY[kind.unit]
        if any(end is not None and abs(end) > most for end in (ends["min"].as_py(), ends["max"].as_py())):
            raise ValueError("a column holds a time more than 260,000 years away")


def _check_kind(field: pa.Field) -> None:
    """Raise ValueError for a column that can be no attribute: only ``data`` may hold parts, as fields of a struct."""
    kind = field.type
    if field.name == "data":
        if pa.types.is_nested(kind) and not pa.types.is_struct(kind):
            raise ValueError("the column 'data' holds lists or maps: it takes a struct, or JSON text")
    elif pa.types.is_nested(kind):
        raise ValueError(f"the column {field.name!r} holds structs, lists or maps: this attribute is a text")


def _serve(request: dict[str, Any], out: IO[bytes]) -> None:
    with pa.OSFile(request["path"]) as source:
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=2**20)
        names = file.schema_arrow.names
        wanted = [name for name in request["columns"] if name in names]
        for name in wanted:
            _check_kind(file.schema_arrow.field(name))
        schema = pa.schema([_sent(file.schema_arrow.field(name)) for name in wanted])
        _write_message({"names": names}, out)
        with pa.ipc.new_stream(out, schema) as writer:
            for batch in _batches(file, wanted):
                for part in _parts(batch):
                    columns = [_converted(part.column(field.name), field.type) for field in schema]
                    for column in columns:
                        _check_instants(column)
                    sent = pa.RecordBatch.from_arrays(columns, schema=schema)
                    sent.validate(full=True)
                    writer.write_batch(sent)


def _batches(file: pq.ParquetFile, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows in order. Where memory does not reach, the file is read once more from its begin, fewer rows at once."""
    given = 0
    for rows in _sizes(file, wanted) if wanted else ():
        passed = 0
        batches = file.iter_batches(rows, columns=wanted, use_threads=False)
        try:
            while (batch := _next(batches)) is not None:
                passed += batch.num_rows
                if (new := passed - given) > 0:
                    given = passed
                    yield batch.slice(max(batch.num_rows - new, 0))
        except MemoryError:
            if rows == _ROWS[-1]:
                raise
        else:
            return


def _sizes(file: pq.ParquetFile, wanted: list[str]) -> tuple[int, ...]:
    """Those of _ROWS to try: the first rows show how long rows are. Few come first, since these may be long too."""
    sizes = _ROWS
    for rows in sizes[:-3:-1]:
        first = _next(file.iter_batches(rows, columns=wanted, use_threads=False))
        if first is None or first.num_rows == 0:
            break
        length = sum(_decoded_bytes(column) for column in first.columns) / first.num_rows
        sizes = tuple(size for size in _ROWS if size * length <= _MOST_READ) or _ROWS[-1:]
        if sizes[0] <= rows:
            break
    return sizes


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in halves of halves, each of a bounded size."""
    decoded = sum(_decoded_bytes(column) for column in batch.columns)
    if decoded <= _MOST_SENT or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half))
    yield from _parts(batch.slice(half))


def _decoded_bytes(column: pa.Array) -> int:
    """Bytes of a column, those of a dictionary's values as often as they stand in it."""
    if not isinstance(column.type, pa.DictionaryType) or not _is_text(column.type.value_type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    signal.alarm(_MOST_SECONDS)
    try:
        return next(batches, None)
    finally:
        signal.alarm(0)


def _write_message(answer: dict[str, Any], out: IO[bytes]) -> None:
    out.write(json.dumps(answer).encode() + b"\n")
    out.flush()


def main() -> None:
    """Serve until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _bounded(int(sys.argv[1]))
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            _serve(json.loads(line), out)
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001 - any failure of a file is reported and the next file read
            _write_message({"error": str(error) or type(error).__name__}, out)
        else:
            _write_message({}, out)


if __name__ == "__main__":
    main()
