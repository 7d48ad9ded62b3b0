"""Lines, CSV rows and Parquet rows -> the attributes of CloudEvents, as text.

NDJSON is decoded by Polars, many lines at once. No columnar reader keeps a number's text, so lines are judged on their
raw text first: a regular expression finds those with long or exponential numbers, with escapes, or with attributes that
are no strings, and only those are parsed one by one, with every number a Decimal. A chunk that Polars refuses is halved
until its bad lines stand alone.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from valueverse.events.strict import ATTRIBUTES, judge_data, parse_line, readable_attributes

PARSED = pl.Schema(
    {
        "line": pl.Int64(),
        "raw": pl.String(),
        **dict.fromkeys(ATTRIBUTES, pl.String()),
        "data": pl.String(),
        "reason": pl.String(),
        "message": pl.String(),
        "path": pl.String(),
    }
)
"""One row per line: attributes as text, ``data`` as JSON text (null where null or absent), or why it is refused."""

_CHUNK = 50_000
_FEW = 64
"""Lines that are parsed one by one rather than halved once more in search of a bad one."""
_MOST_BRACKETS = 100
_SHAPE = pl.Struct(dict.fromkeys(ATTRIBUTES, pl.String()))
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
    """Parse NDJSON lines (line, raw) into PARSED; blank lines are no events and are left out."""
    texts = lines.select("line", pl.col("raw").str.strip_chars()).filter(pl.col("raw") != "")
    # One expression keeps one core busy; Polars lets go of the interpreter, so chunks share the cores.
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        parts = list(pool.map(_read_chunk, texts.iter_slices(_CHUNK)))
    return pl.concat([PARSED.to_frame(), *parts])


def refused_lines(lines: pl.DataFrame, message: str) -> pl.DataFrame:
    """Lines (line, raw) that cannot be read at all, as ``malformed`` PARSED rows."""
    told = {"reason": "malformed", "message": message, "path": ""}
    rows = [
        {"line": line, "raw": raw} | readable_attributes(raw) | told
        for line, raw in lines.select("line", "raw").iter_rows()
    ]
    return pl.DataFrame(rows, schema=PARSED)


def _read_chunk(lines: pl.DataFrame) -> pl.DataFrame:
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
        return PARSED.to_frame()
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
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in PARSED.items() if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in PARSED.items())


def _one_by_one(lines: pl.DataFrame) -> pl.DataFrame:
    rows = [{"line": line, "raw": raw} | parse_line(raw) for line, raw in lines.select("line", "raw").iter_rows()]
    return pl.DataFrame(rows, schema=PARSED)


def read_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """CSV or Parquet rows (line, and columns named like the attributes) -> PARSED.

    ``data`` is a JSON string, or a struct (whose null members are absent); other columns are ignored. Every value is
    read as text.
    """
    names = (*ATTRIBUTES, "data")
    known = [name for name in names if name in rows.columns]
    texts = rows.select("line", *(_as_text(rows.schema[name], name) for name in known)).with_columns(
        pl.lit(None, pl.String).alias(name) for name in names if name not in known
    )
    if isinstance(rows.schema.get("data"), pl.Struct):
        texts = texts.with_columns(pl.Series("data", [_without_nulls(text) for text in texts["data"]], pl.String))
    blank = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names]
    filled = texts.with_columns(blank).with_columns(pl.struct(*names).struct.json_encode().alias("raw"))
    judged = _as_parsed(filled.drop("data").hstack(_judged(filled.select("type", "data"))))
    for name in ATTRIBUTES:
        holds_nul = pl.col(name).str.contains("\x00", literal=True).fill_null(value=False)
        judged = judged.with_columns(
            pl.when(holds_nul).then(pl.lit(None, pl.String)).otherwise(name).alias(name),
            pl.when(holds_nul).then(pl.lit("malformed")).otherwise("reason").alias("reason"),
            pl.when(holds_nul)
            .then(pl.lit("the text holds a NUL character; remove it"))
            .otherwise("message")
            .alias("message"),
            pl.when(holds_nul).then(pl.lit(name)).otherwise("path").alias("path"),
        )
    return judged


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """data, reason, message, path of rows' type and ``data`` texts, in their order."""
    verdict = {"place": pl.UInt32(), **dict.fromkeys(("data", "reason", "message", "path"), pl.String())}
    placed = rows.with_row_index("place")
    texts = placed["data"].str.strip_chars().fill_null("null")
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
    good = plain.select("place", pl.col("data").str.strip_chars()).with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("reason", "message", "path")
    )
    return pl.concat([good, pl.DataFrame(judged, schema=verdict)]).sort("place").drop("place")


def _without_nulls(text: str | None) -> str | None:
    # A struct column gives every row every member; in the lines of other formats an absent member is not there.
    return None if text is None else json.dumps(_pruned(json.loads(text)), ensure_ascii=False)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _as_text(dtype: pl.DataType, name: str) -> pl.Expr:
    if isinstance(dtype, pl.Struct):
        text = pl.col(name).struct.json_encode()
        return pl.when(pl.col(name).is_not_null()).then(text).alias(name)
    if isinstance(dtype, pl.Datetime):
        zoned = pl.col(name).dt.replace_time_zone("UTC") if dtype.time_zone is None else pl.col(name)
        return zoned.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ").alias(name)
    return pl.col(name).cast(pl.String)
