"""What a rule of the gate is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["tenant", "day", "period", "closing", "booked"]
"""How a month is cut out of a table: not at all, by day, by period, by the closing of invoices, or by the closing of
the invoice that a row names (with the rows that name none)."""


@dataclass(frozen=True)
class Rule:
    """A query over ``{batch}`` that yields a row (tenant_id, example) for everything that breaks the rule.

    ``table`` is the table of schema billing that the batch is cut from. The query must not use ``%`` or
    ``:name``.
    """

    name: str
    table: str
    sentence: str
    query: str
