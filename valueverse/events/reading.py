"""Lines, CSV rows and Parquet rows -> the attributes of CloudEvents, as text.

NDJSON is decoded by Polars, many lines at once. No columnar reader keeps a number's text, so lines are judged on their
raw text first: a regular expression finds those with long or exponential numbers, or with attributes that are no strings, and
only those are parsed one by one, with every number a Decimal. A chunk that Polars refuses is searched for its bad lines.
"""

from __future__ import annotations

import polars as pl

from valueverse.events.strict import ATTRIBUTES, judge_data, parse_line

PARSED = pl.Schema(
    {
        "line": pl.Int64,
        "raw": pl.String,
        **dict.fromkeys(ATTRIBUTES, pl.String),
        "data": pl.String,
        "reason": pl.String,
        "message": pl.String,
        "path": pl.String,
    }
)
"""One row per line: attributes as text, ``data`` as JSON text (null where it is null or absent), or why it is refused."""

_CHUNK = 100_000
_SHAPE = pl.Struct(dict.fromkeys(ATTRIBUTES, pl.String))
_ODD = (
    r"[:\[,]\s*-?(?:[0-9][0-9.]{14,}|[0-9]{13,}|[0-9.]+[eE])"
    r'|"(?:specversion|id|source|type|subject|time|tenant|replaces)"\s*:\s*[^"\s]'
    r"|\\u0000|\x00"
)
"""Numbers that may be inexact or out of range, attributes that are no strings, and NUL, which no column may hold."""
_LAST_FLAT_DATA = r'"data":\s*(\{[^{}"]*(?:"[^"\\]*"[^{}"]*)*\})\s*\}$'
"""``data`` without nesting or escapes as the last attribute: the common case, cut out of the line as it stands."""


def read_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Parse NDJSON lines (line, raw) into PARSED; blank lines are no events and are left out."""
    texts = lines.select("line", pl.col("raw").str.strip_chars()).filter(pl.col("raw") != "")
    parts = [_read_chunk(part) for part in texts.iter_slices(_CHUNK)]
    return pl.concat([PARSED.to_frame(), *parts])


def _read_chunk(lines: pl.DataFrame) -> pl.DataFrame:
    odd = lines["raw"].str.contains(_ODD)
    strange, plain = lines.filter(odd), lines.filter(~odd)
    try:
        return pl.concat([_decoded(plain), _one_by_one(strange)]).sort("line")
    except pl.exceptions.PolarsError:
        judged = _one_by_one(lines)
        good = judged.filter(pl.col("reason").is_null())
        return pl.concat([good, judged.filter(pl.col("reason").is_not_null())]).sort("line")


def _decoded(lines: pl.DataFrame) -> pl.DataFrame:
    if lines.is_empty():
        return PARSED.to_frame()
    raw = pl.col("raw")
    decoded = lines.with_columns(
        raw.str.json_decode(_SHAPE).alias("event"), raw.str.extract(_LAST_FLAT_DATA).alias("data")
    )
    nested = decoded["data"].is_null()
    if nested.any():
        decoded = decoded.with_columns(
            pl.when(nested)
            .then(pl.when(nested).then(raw).str.json_path_match("$.data"))
            .otherwise("data")
            .alias("data")
        )
    data = pl.col("data")
    is_text = data.is_not_null() & ~data.str.starts_with("{") & (data != "null")
    return (
        decoded.unnest("event")
        .with_columns(
            pl.when(is_text).then(pl.lit("malformed")).alias("reason"),
            pl.when(is_text).then(pl.lit("'data' must be a JSON object")).alias("message"),
            pl.when(is_text).then(pl.lit("data")).alias("path"),
            pl.when(data != "null").then(data).alias("data"),
        )
        .select(PARSED.names())
        .cast(dict(PARSED))
    )


def _one_by_one(lines: pl.DataFrame) -> pl.DataFrame:
    rows = [{"line": line, "raw": raw} | parse_line(raw) for line, raw in lines.select("line", "raw").iter_rows()]
    return pl.DataFrame(rows, schema=PARSED)


def read_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """CSV or Parquet rows (line, and columns named like the attributes) -> PARSED.

    ``data`` is a JSON string, or a struct; other columns are ignored. Every value is read as text.
    """
    known = [name for name in (*ATTRIBUTES, "data") if name in rows.columns]
    texts = rows.select("line", *(_as_text(rows.schema[name], name) for name in known)).with_columns(
        pl.lit(None, pl.String).alias(name) for name in (*ATTRIBUTES, "data") if name not in known
    )
    blank = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in (*ATTRIBUTES, "data")]
    filled = texts.with_columns(blank).with_columns(pl.struct(*ATTRIBUTES, "data").struct.json_encode().alias("raw"))
    judged = [judge_data(data) for data in filled["data"]]
    verdicts = pl.DataFrame(
        judged, schema={"data": pl.String, "reason": pl.String, "message": pl.String, "path": pl.String}
    )
    return filled.drop("data").hstack(verdicts).select(PARSED.names()).cast(dict(PARSED))


def _as_text(dtype: pl.DataType, name: str) -> pl.Expr:
    if isinstance(dtype, pl.Struct):
        text = pl.col(name).struct.json_encode()
        return pl.when(pl.col(name).is_not_null()).then(text).alias(name)
    if isinstance(dtype, pl.Datetime):
        zoned = pl.col(name).dt.replace_time_zone("UTC") if dtype.time_zone is None else pl.col(name)
        return zoned.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ").alias(name)
    return pl.col(name).cast(pl.String)
