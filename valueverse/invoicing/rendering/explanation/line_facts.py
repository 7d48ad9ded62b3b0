"""What a line's sentences are made from beside its document, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from decimal import Decimal

    from valueverse.catalog import Plan


@dataclass(frozen=True)
class OtherLine:
    """A line of another invoice that belongs to a line.

    Attributes:
        invoice: its number; None: a draft.
        status: of that invoice.
        issued_on: of that invoice.
        amount: major units.
    """

    invoice: str | None
    status: str
    issued_on: date
    amount: str


@dataclass(frozen=True)
class LineFacts:
    """What the document does not say of a line.

    Attributes:
        plan: what it was billed on, overrides applied; None: on none.
        days: used and full days of the part of a period that it bills; None: not known, or of no period.
        values: what its events count, in the order of time; empty where they are not all found.
        late_events: of its events, how many were received after the period closed.
        before: what threshold invoices of the period billed of it.
        in_parts: threshold invoices billed something of the period before.
        corrections: what later invoices changed of it.
        corrected: the line of an earlier invoice that this one corrects.
    """

    plan: Plan | None = None
    days: tuple[int, int] | None = None
    values: Sequence[Decimal] = ()
    late_events: int = 0
    before: Sequence[OtherLine] = ()
    in_parts: bool = False
    corrections: Sequence[OtherLine] = ()
    corrected: OtherLine | None = None


@dataclass(frozen=True)
class ExplainedLine:
    """A line in sentences: ``sentences``, then its tiers (text and amount), then ``result``."""

    title: str
    amount: str
    sentences: list[str]
    tiers: list[tuple[str, str]] = field(default_factory=list)
    result: list[str] = field(default_factory=list)
