"""A line of ``valueverse periods``, judged (contracts.md, 5)."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from valueverse.documents import wrong
from valueverse.services.calculators.line_fields import Instant, LinePart, TimeZone

_BOUND = Field(description="give a date or an RFC 3339 instant")


class PeriodsInput(LinePart):
    """A line of ``valueverse periods``; its ``period`` is judged as a plan's is."""

    id: Any = None
    period: Any = None
    timezone: TimeZone = "UTC"
    from_: Annotated[Instant, Field(alias="from"), _BOUND]
    to: Annotated[Instant, _BOUND]
    start: Instant | None = None
    end: Instant | None = None
    anchor: Any = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ >= self.to:
            raise wrong("to must lie after from: 'to' is exclusive", "to", code="bad_window")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise wrong("end lies at or before start: end is exclusive and later", "end", code="bad_window")
        return self
