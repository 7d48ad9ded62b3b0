"""Columns of a table as JSON texts."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

_ESCAPED = r'["\\\x00-\x1f]'


def objects(column: pl.Series) -> pl.Series:
    """A struct column as JSON objects; null members are absent.

    A struct gives every row every member; in the lines of other formats an absent member is not there.
    """
    if _has_listed_structs(column.dtype):
        texts = column.struct.json_encode()
        pruned = [None if null else _without_nulls(text) for text, null in zip(texts, column.is_null(), strict=True)]
        return pl.Series(column.name, pruned, dtype=pl.String)
    return pl.select(pl.when(column.is_not_null()).then(_value(column))).to_series().alias(column.name)


def _has_listed_structs(dtype: pl.DataType, *, listed: bool = False) -> bool:
    if isinstance(dtype, pl.Struct):
        return listed or any(_has_listed_structs(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]  # instances
    if isinstance(dtype, pl.List | pl.Array):
        return _has_listed_structs(dtype.inner, listed=True)  # type: ignore[arg-type]  # an instance
    return False


def _value(column: pl.Series) -> pl.Series:
    """JSON text of each value; null where it is null."""
    dtype = column.dtype
    if isinstance(dtype, pl.Struct):
        return _object(column)
    if dtype == pl.String and not column.str.contains(_ESCAPED).any():
        return pl.select(pl.concat_str(pl.lit('"'), column, pl.lit('"'))).to_series()
    if dtype.is_integer():
        return column.cast(pl.String)
    if dtype == pl.Boolean:
        return column.cast(pl.String)
    if dtype.is_float() and not column.is_finite().all():
        # NaN stays what it is: no JSON, which the reader then says.
        return column.cast(pl.String)
    text = pl.struct(column.alias("k")).struct.json_encode().str.slice(len('{"k":')).str.strip_suffix("}")
    return pl.select(pl.when(column.is_not_null()).then(text)).to_series()


def _object(column: pl.Series) -> pl.Series:
    members = [
        pl.lit(f"{json.dumps(name, ensure_ascii=False)}:") + _value(column.struct.field(name)).alias(f"{place}")
        for place, name in enumerate(column.struct.fields)
    ]
    if not members:
        return pl.Series(["{}"]).new_from_index(0, len(column))
    inside = pl.concat_str(members, separator=",", ignore_nulls=True)
    return pl.select(pl.concat_str(pl.lit("{"), inside, pl.lit("}"))).to_series()


def _without_nulls(text: str) -> str:
    return json.dumps(_pruned(json.loads(text)), ensure_ascii=False)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value
