"""What a line's sentences are made from beside its document, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from valueverse.catalog import Plan


@dataclass(frozen=True)
class OtherLine:
    """A line of another invoice that belongs to a line.

    Attributes:
        invoice: its number; None: a draft.
        status: of that invoice.
        issued_on: of that invoice.
        amount: major units.
        events, quantity: what it counts.
    """

    invoice: str | None
    status: str
    issued_on: date
    amount: str
    events: int = 0
    quantity: Decimal = Decimal(0)


@dataclass(frozen=True)
class ChangedEvents:
    """Events of a line that came, changed or went since it was billed.

    Attributes:
        counts: how many by change (``invoicing.changed_events``).
        first, last: when the first and the last of them was received; None: nothing was received of them.
    """

    counts: Mapping[str, int]
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class QuantityPart:
    """A part of a line's quantity: of one meter and one combination of dimensions, in metered units."""

    meter: str
    dimensions: Mapping[str, str | None]
    quantity: Decimal


@dataclass(frozen=True)
class Correction:
    """What a line corrects, and why.

    Attributes:
        invoice: number of the invoice whose line it corrects.
        issued_on: of that invoice.
        is_void: that invoice is void.
        billed_on: numbers of the invoices that billed it before, the corrected one first.
        billed, due: what was billed before and what is due as known now, in major units, net of coupons.
        events: how many events were counted before, and are counted now; None: it counts none.
        quantity: before and now; None: it has none.
        parts: of the quantity before and of that now, where its price is of several meters or by dimensions; None: of
            neither, or not known.
        tiers: of the line as it was billed last, as documents have them; empty: none, or of several lines.
        changed: its events that came, changed or went since.
        causes: billing events about its customer received since: type, id and when.
        catalog: hash of the catalog that it was re-rated under; None: of its own.
    """

    invoice: str
    issued_on: date
    is_void: bool
    billed_on: Sequence[str]
    billed: str
    due: str
    events: tuple[int, int] | None
    quantity: tuple[str, str] | None
    tiers: Sequence[Mapping[str, Any]]
    changed: ChangedEvents
    causes: Sequence[tuple[str, str, datetime]] = ()
    catalog: str | None = None
    parts: tuple[Sequence[QuantityPart], Sequence[QuantityPart]] | None = None


@dataclass(frozen=True)
class LineFacts:
    """What the document does not say of a line.

    Attributes:
        plan: what it was billed on, overrides applied; None: on none.
        days: used and full days of the part of a period that it bills; None: not known, or of no period.
        values: what its events count, in the order of time; empty where they are not all found.
        parts: of its quantity, where its price is of several meters or by dimensions.
        buckets: metered quantity and local minute of the day of each hour or day, where its price is by these.
        late_events: of its events, how many were received after the period closed.
        before: what threshold invoices of the period billed of it.
        in_parts: threshold invoices billed something of the period before.
        ongoing: more of the period follows: no minimum is due yet.
        corrections: what later invoices changed of it.
        correction: what it corrects of an earlier invoice; None: nothing.
    """

    plan: Plan | None = None
    days: tuple[int, int] | None = None
    values: Sequence[Decimal] = ()
    parts: Sequence[QuantityPart] = ()
    buckets: Sequence[tuple[Decimal, int | None]] = ()
    late_events: int = 0
    before: Sequence[OtherLine] = ()
    in_parts: bool = False
    ongoing: bool = False
    corrections: Sequence[OtherLine] = ()
    correction: Correction | None = None


@dataclass(frozen=True)
class ExplainedLine:
    """A line in sentences: ``sentences``, then its tiers (text and amount), then ``result``."""

    title: str
    amount: str
    sentences: list[str]
    tiers: list[tuple[str, str]] = field(default_factory=list)
    result: list[str] = field(default_factory=list)
