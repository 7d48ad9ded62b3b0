"""Metrics that a tenant registers: columns of its marts that value models can bind to (value-models.md)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from valueverse.documents import Key, StrictModel, Text, text_schema, wrong

MAX_METRICS = 100
RESERVED_PREFIXES = ("usage.", "billing.")
"""Beginnings of the names of metrics that the platform measures itself."""
_BINDABLE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_][a-z0-9_.-]*)*\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_MART = re.compile(r"(fct|dim|agg|ops)_")


def _pattern_of(expression: re.Pattern[str]) -> str:
    """Of an expression for whole texts."""
    return expression.pattern.removesuffix(r"\Z")


def _metric_key(key: str) -> str:
    if key.startswith(RESERVED_PREFIXES):
        raise wrong(f"{key!r} is reserved: 'usage.' and 'billing.' are metrics of the platform; rename it")
    if not _BINDABLE.match(key):
        raise wrong(f"no model can bind {key!r}: a letter first, names between the dots, '-' only behind a dot")
    return key


def _column(name: str) -> str:
    if not _NAME.match(name):
        raise wrong(f"{name[:80]!r} is no name of a mart or column: up to 63 of a-z, 0-9 and '_', a letter first")
    return name


def _mart(name: str) -> str:
    if not _MART.match(_column(name)):
        raise wrong(f"{name!r} is no mart: their names begin with fct_, dim_, agg_ or ops_")
    return name


_RESERVED = "|".join(RESERVED_PREFIXES).replace(".", "[.]")
MetricKey = Annotated[Key, AfterValidator(_metric_key), text_schema(f"(?!{_RESERVED}){_pattern_of(_BINDABLE)}", 63)]
ColumnName = Annotated[Text, AfterValidator(_column), text_schema(_pattern_of(_NAME))]
MartName = Annotated[Text, AfterValidator(_mart), text_schema(f"(?={_MART.pattern}){_pattern_of(_NAME)}")]


class MartMetric(StrictModel):
    """A column of a mart, aggregated per customer and month under the name ``key``.

    Attributes:
        key: what a model binds to.
        mart: table of the schema ``marts``.
        column: what is aggregated: exact numbers; for ``count`` anything.
        month: a date or an instant; the tenant's calendar month in which it lies is the value's.
        customer: whose a row is; None: the tenant's own.
        aggregation: of the rows of a month that have a value; ``last``: of the latest by ``month``, the largest.
        currency_column: ISO 4217 currency of the row's money; None: it is no money.
    """

    key: MetricKey
    mart: MartName
    column: ColumnName
    month: ColumnName
    customer: ColumnName | None = None
    aggregation: Literal["sum", "mean", "min", "max", "last", "count"]
    currency_column: ColumnName | None = None

    def columns(self) -> dict[str, str]:
        """The columns it reads, by the field that names them."""
        named = {"column": self.column, "month": self.month}
        optional = {"customer": self.customer, "currency_column": self.currency_column}
        return named | {field: name for field, name in optional.items() if name is not None}
