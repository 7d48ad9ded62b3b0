"""A line of ``valueverse prorate``, judged (contracts.md, 5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from valueverse.documents import wrong
from valueverse.services.calculators.line_fields import (
    Currency,
    Exact,
    LinePart,
    PossiblyEmptyWindow,
    TimeZone,
    Window,
    window,
)

BASES = ("day", "second", "30_day")
_WINDOW = Field(description="an object with 'from' and 'to'")


def _basis(value: Any) -> Any:
    if value not in BASES:
        raise wrong(f"basis is one of {', '.join(BASES)}, not {str(value)[:40]!r}", code="unknown_basis")
    return value


def _credit(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("credit must be an object with 'billed' and 'credited'", code="bad_credit")
    return value


class Credit(LinePart):
    """What was billed for the period and credited already: the amount is capped by the difference."""

    billed: Annotated[Exact, Field(description="what was billed for the period")]
    credited: Exact = Decimal(0)


class ProrateInput(LinePart):
    """A line of ``valueverse prorate``; ``amount`` is that of the whole period."""

    id: Any = None
    amount: Annotated[Exact, Field(description="the amount of the whole period")]
    currency: Currency = "USD"
    basis: Annotated[Literal["day", "second", "30_day"], BeforeValidator(_basis)] = "day"
    timezone: TimeZone = "UTC"
    period: Annotated[Window, BeforeValidator(window), _WINDOW]
    used: Annotated[PossiblyEmptyWindow, BeforeValidator(window), _WINDOW]
    credit: Annotated[Credit, BeforeValidator(_credit)] | None = None
