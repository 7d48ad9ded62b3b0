"""Lines, CSV rows and Parquet rows -> the attributes of CloudEvents, as text.

Lines of a shape that is plain (``shapes``) are read by one regular expression. The others are decoded by Polars, many
at once. No columnar reader keeps a number's text, so they are judged on their raw text first: a regular expression
finds those with long or exponential numbers, with escapes, or with attributes that are no strings, and only those are
parsed one by one, with every number a Decimal. A chunk that Polars refuses is halved until its bad lines stand alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.dates import utc_texts
from valueverse.events.json_text import objects
from valueverse.events.shapes import flat_lines, flat_objects
from valueverse.events.strict import ENVELOPE_ATTRIBUTES, judge_data, parse_line, readable_attributes
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from polars._typing import TimeUnit


NAMES = (*ENVELOPE_ATTRIBUTES, "data")
_FEW = 64
"""Lines that are parsed one by one rather than halved once more in search of a bad one."""
_MOST_BRACKETS = 100
LARGEST_EVENT = 2**20
"""Bytes of a line, or of all the values of a row."""
_READ_AT_ONCE = 2 * 2**20
"""Bytes of lines: what is made of them while they are read, e.g. a list of all their keys, is a multiple of them."""
_PREFIX_OF_LARGE = 2_000
"""Characters of such a line that quarantine keeps."""
_SHAPE = pl.Struct(dict.fromkeys(ENVELOPE_ATTRIBUTES, pl.String()))
_DATA_SHAPE = pl.Struct({"_": pl.String()})
_ODD_VALUE = r'\\|\x00|[\[{,]\s*":|[:\[,]\s*-?(?:[0-9][0-9.]{14,}|[0-9]{13,}|[0-9.]+[eE])'
"""Numbers that may be inexact or out of range, escapes (in a key they could hide that it stands twice), NUL."""
_ODD = (
    rf"^[^{{]|{_ODD_VALUE}"
    r'|"(?:specversion|id|source|type|subject|time|tenant|replaces)"\s*:\s*[^"\s]|"data"\s*:\s*[^{\s]'
)
"""Also lines that are no objects, attributes that are no strings, and data that is none."""
_KEY_OF_OBJECT = r'"[^"]*"\s*:'
_LAST_FLAT_DATA = r'"data":\s*(\{[^{}"]*(?:"[^"]*"[^{}"]*)*\})\s*\}$'
"""``data`` without nesting as the last attribute: the common case, cut out of the line as it stands."""


def read_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Parse NDJSON lines (line, raw) into PARSED_LINES; blank lines are no events and are left out."""
    texts = lines.lazy().select("line", pl.col("raw").str.strip_chars()).filter(pl.col("raw") != "").collect()
    large = texts["raw"].str.len_bytes() > LARGEST_EVENT
    if not large.any():
        return _read_in_parts(texts)
    return pl.concat([_read_in_parts(texts.filter(~large)), _too_large(texts.filter(large))]).sort("line")


def _read_in_parts(lines: pl.DataFrame) -> pl.DataFrame:
    part = lines["raw"].str.len_bytes().cast(pl.Int64).cum_sum() // _READ_AT_ONCE
    found, done = [PARSED_LINES.to_frame()], 0
    for height in part.rle().struct.field("len"):
        found.append(_read_chunk(lines.slice(done, height)))
        done += height
    return pl.concat(found)


def _too_large(lines: pl.DataFrame) -> pl.DataFrame:
    parts = [
        refused_lines(
            pl.DataFrame({"line": [line], "raw": [raw]}),
            f"the event has {size:,} bytes, more than {LARGEST_EVENT:,}: keep large texts elsewhere, send "
            "where they are",
            "too_long",
        )
        for line, raw, size in lines.select(
            "line", pl.col("raw").str.head(_PREFIX_OF_LARGE), pl.col("raw").str.len_bytes().alias("size")
        ).iter_rows()
    ]
    return pl.concat([PARSED_LINES.to_frame(), *parts])


def refused_lines(lines: pl.DataFrame, message: str, reason: str = "malformed") -> pl.DataFrame:
    """Lines (line, raw) that cannot be read at all, as PARSED_LINES rows."""
    refusal = {"reason": reason, "message": message, "path": ""}
    # What is left of a list that breaks off may be much longer than an event, and is not decoded further than one.
    rows = [
        {"line": line, "raw": raw} | readable_attributes(raw[:LARGEST_EVENT]) | refusal
        for line, raw in lines.select("line", "raw").iter_rows()
    ]
    return pl.DataFrame(rows, schema=PARSED_LINES)


def _read_chunk(lines: pl.DataFrame) -> pl.DataFrame:
    if lines.is_empty():
        return PARSED_LINES.to_frame()
    plain = flat_lines(lines)
    if plain.height == lines.height:
        return _as_parsed(plain)
    rest = lines.join(plain.select("line"), on="line", how="anti", maintain_order="left")
    return pl.concat([_as_parsed(plain), _read_rest(rest)]).sort("line")


def _read_rest(lines: pl.DataFrame) -> pl.DataFrame:
    doubtful = lines["raw"].str.contains(_ODD) | _repeats_a_key(lines["raw"])
    if not doubtful.any():
        return _decoded(lines)
    return pl.concat([_decoded(lines.filter(~doubtful)), _one_by_one(lines.filter(doubtful))]).sort("line")


def _repeats_a_key(texts: pl.Series) -> pl.Series:
    """Lines in which a key may stand twice in one object, or that are nested deeply.

    Few shapes of lines make up a file, so the keys of each shape are looked at, not those of each line.
    """
    shape = pl.col("text").str.extract_all(_KEY_OF_OBJECT).list.join("\x1f").alias("shape")
    deep = (pl.col("text").str.count_matches(r"[\[{]") > _MOST_BRACKETS).alias("deep")
    shaped = texts.alias("text").to_frame().select(shape, deep)
    repeating = [text for text in shaped["shape"].unique() if text and _has_twins(text)]
    return shaped.select(pl.col("deep") | pl.col("shape").is_in(repeating)).to_series()


def _has_twins(shape: str) -> bool:
    keys = [key.rstrip(": \t\r\n") for key in shape.split("\x1f")]
    return len(set(keys)) < len(keys)


def _decoded(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines that columns read rightly. A chunk with a line that is no JSON is halved until that line stands alone."""
    if lines.is_empty():
        return PARSED_LINES.to_frame()
    try:
        return _in_columns(lines)
    except pl.exceptions.PolarsError:
        if lines.height <= _FEW:
            return _one_by_one(lines)
        half = lines.height // 2
        return pl.concat([_decoded(lines[:half]), _decoded(lines[half:])])


def _in_columns(lines: pl.DataFrame) -> pl.DataFrame:
    raw = pl.col("raw")
    decoded = lines.with_columns(
        raw.str.json_decode(_SHAPE).alias("event"), raw.str.extract(_LAST_FLAT_DATA).alias("data")
    )
    elsewhere = decoded["data"].is_null()
    if elsewhere.any():
        found = decoded.filter(elsewhere).select("line", raw.str.json_path_match("$.data").alias("found"))
        decoded = decoded.join(found, on="line", how="left", maintain_order="left").with_columns(
            pl.coalesce("data", "found").alias("data")
        )
    return _as_parsed(decoded.unnest("event"))


def _as_parsed(frame: pl.DataFrame) -> pl.DataFrame:
    return PARSED_LINES.conform(frame, unset=[name for name in PARSED_LINES if name not in frame.columns])


def _one_by_one(lines: pl.DataFrame) -> pl.DataFrame:
    rows = [{"line": line, "raw": raw} | parse_line(raw) for line, raw in lines.select("line", "raw").iter_rows()]
    return pl.DataFrame(rows, schema=PARSED_LINES)


def read_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """CSV or Parquet rows (line, and columns named like the attributes) -> PARSED_LINES.

    ``data`` is a JSON string, or a struct (whose null members are absent); other columns are ignored. Every value is
    read as text.
    """
    known = [name for name in NAMES if name in rows.columns]
    absent = [pl.lit(None, pl.String).alias(name) for name in NAMES if name not in known]
    texts = rows.select("line", *(_as_text(rows.schema[name], name) for name in known if name != "data"), *absent)
    if "data" in known:
        data = rows["data"]
        text = objects(data) if isinstance(data.dtype, pl.Struct) else data.cast(pl.String)
        texts = texts.with_columns(text.alias("data"))
    blank = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in NAMES]
    filled = texts.select("line", *blank)
    bytes_of = pl.sum_horizontal(pl.col(name).str.len_bytes().cast(pl.Int64) for name in NAMES)
    large = filled.select(bytes_of > LARGEST_EVENT).to_series()
    if large.any():
        return pl.concat([_rows_read(filled.filter(~large)), _too_large(with_raw(filled.filter(large)))]).sort("line")
    return _rows_read(filled)


def _rows_read(filled: pl.DataFrame) -> pl.DataFrame:
    judged = filled.drop("data").hstack(_judged(filled.select("type", "data")))
    for name in ENVELOPE_ATTRIBUTES:
        nul = judged[name].str.contains("\x00", literal=True).fill_null(value=False)
        if nul.any():
            judged = _without_nul(judged, name, nul)
    refused = judged["reason"].is_not_null()
    if not refused.any():
        return _as_parsed(judged)
    # Only what is refused needs the line that says the same; quarantine keeps it.
    lines = with_raw(filled.filter(refused)).select("line", "raw")
    return _as_parsed(judged.join(lines, on="line", how="left", maintain_order="left"))


def _without_nul(judged: pl.DataFrame, name: str, nul: pl.Series) -> pl.DataFrame:
    """Refuse rows whose attribute holds NUL, which Postgres cannot store; the attribute becomes null."""
    message = "the text holds a NUL character; remove it"
    replaced = {"reason": "malformed", "message": message, "path": name, name: None}
    return judged.with_columns(
        pl.when(nul).then(pl.lit(value, pl.String)).otherwise(column).alias(column)
        for column, value in replaced.items()
    )


def with_raw(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with a ``raw``: that of a table's row is the JSON object that says the same.

    Args:
        rows: NAMES, as text or (``time``) as an instant.
    """
    time = rows.schema["time"]
    text = utc_texts(pl.col("time")) if isinstance(time, pl.Datetime) else pl.col("time")
    made = pl.struct(*(text if name == "time" else pl.col(name) for name in NAMES)).struct.json_encode()
    given = pl.col("raw") if "raw" in rows.columns else pl.lit(None, pl.String)
    return rows.with_columns(pl.coalesce(given, made).alias("raw"))


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """data, reason, message, path of rows' type and ``data`` texts, in their order."""
    placed = rows.with_row_index("place")
    texts = placed["data"].str.strip_chars().fill_null("null")
    flat = flat_objects(texts)
    if flat.all():
        return _taken(placed).drop("place")
    rest = placed.filter(~flat)
    return pl.concat([_taken(placed.filter(flat)), _rest_judged(rest, texts.filter(~flat))]).sort("place").drop("place")


def _taken(rows: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on ``data`` that is taken as it stands."""
    return rows.select(
        "place",
        pl.col("data").str.strip_chars(),
        *(pl.lit(None, pl.String).alias(name) for name in ("reason", "message", "path")),
    )


def _rest_judged(placed: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    verdict = {"place": pl.UInt32()} | PARSED_LINES.part("data", "reason", "message", "path")
    doubtful = texts.str.contains(rf"^[^{{]|{_ODD_VALUE}") | _repeats_a_key(texts)
    plain = placed.filter(~doubtful)
    try:
        plain["data"].str.json_decode(_DATA_SHAPE)
    except pl.exceptions.PolarsError:
        doubtful, plain = doubtful | True, placed.clear()
    judged = [
        {"place": place} | judge_data(data, is_billing=(kind or "").startswith("billing."))
        for place, kind, data in placed.filter(doubtful).iter_rows()
    ]
    return pl.concat([_taken(plain), pl.DataFrame(judged, schema=verdict)])


def _year(year: int, unit: TimeUnit) -> int:
    """Ticks from 1970 to about the start of a year."""
    return (year - 1_970) * 31_556_952 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


def _as_text(dtype: pl.DataType, name: str) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        zoned = pl.col(name).dt.replace_time_zone("UTC") if dtype.time_zone is None else pl.col(name)
        # Arrow can hold instants that no calendar has; writing one out ends in a panic.
        known = zoned.to_physical().is_between(_year(0, dtype.time_unit), _year(9_999, dtype.time_unit))
        text = utc_texts(pl.when(known).then(zoned).dt.convert_time_zone("UTC"))
        return pl.when(pl.col(name).is_null() | known).then(text).otherwise(pl.lit("beyond the calendar")).alias(name)
    return pl.col(name).cast(pl.String)
