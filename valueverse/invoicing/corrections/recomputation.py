"""A finalised invoice recomputed, net of its coupons: what ``differences.differences`` compares with the books.

Coupons come off as they did when the invoice was made: over all its lines in the order of the invoice, since the order
decides who gets the odd minor unit of a spread.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing.corrections.differences import OWN
from valueverse.invoicing.rules import OF_PERIOD
from valueverse.invoicing.settlement.coupons import Billing, apply_coupons, coupon_of, holds, most_of_period
from valueverse.invoicing.settlement.threshold_totals import ThresholdTotals
from valueverse.invoicing.settlement.totals import GrossLine
from valueverse.schemas.invoicing import COUPON_USES, RECOMPUTED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.invoicing.settlement.coupons import Coupon
    from valueverse.invoicing.settlement.customer_balance import Period

    _Row = Mapping[str, Any]

_INVOICE_ID = ["tenant", "invoice_id"]
_NAMED = [*_INVOICE_ID, "key", "dimensions"]
_Name = tuple[str, str]
"""Tenant and invoice_id."""


class ClosedPeriods:
    """What coupons take of periods that have threshold invoices, or closed more than once: an amount is taken once.
    Mutable: each invoice that is worked out leaves less of it to the later ones of its period."""

    def __init__(
        self,
        again: Mapping[_Name, tuple[datetime, Period]],
        uses: pl.DataFrame,
        earlier: Mapping[tuple[str, str, str, datetime], ThresholdTotals],
    ) -> None:
        """``again``: ``due_invoices.closed_again``; ``uses``: schema.USES of the not voided invoices; ``earlier``: what
        threshold invoices of the periods billed (``threshold_totals.threshold_totals``)."""
        self._again, self._earlier = again, earlier
        self._booked: dict[tuple[str, str, datetime, str], int] = {
            (tenant, subscription, begun, origin): minor
            for tenant, origin, subscription, begun, minor in uses.select(COUPON_USES.names()).iter_rows()
        }
        self._worked_out: dict[Period, dict[str, int]] = {}

    def ordered(self, parts: Iterable[tuple[_Name, pl.DataFrame]]) -> list[tuple[_Name, pl.DataFrame]]:
        """Invoices in an order in which those of one period follow each other as they closed."""
        first = datetime.min.replace(tzinfo=UTC)
        return sorted(parts, key=lambda part: self._again[part[0]][0] if part[0] in self._again else first)

    def threshold_totals_of(self, invoice: _Name, line: _Row | None) -> ThresholdTotals:
        """Amounts of threshold invoices of which a closing invoice bills the rest: the first one of its period."""
        if invoice in self._again or line is None or line["invoice_type"] != "period":
            return ThresholdTotals()
        return self._earlier.get(
            (line["tenant"], line["customer"], line["subscription"], line["period_from"]), ThresholdTotals()
        )

    def left(self, invoice: _Name, coupons: list[Coupon], taken: Mapping[str, int], decimals: int) -> list[Coupon]:
        """Coupons with what earlier closing invoices of the period leave of their amounts; ``taken``: what each took of
        this one, as booked."""
        if invoice not in self._again:
            return coupons
        period = self._again[invoice][1]
        before = self._worked_out.get(period)

        def minor(origin: str) -> int:
            if before is not None:
                return before.get(origin, 0)
            return self._booked.get((*period, origin), 0) - taken.get(origin, 0)

        return [
            one
            if one.amount is None
            else replace(one, amount=max(one.amount - Decimal(minor(one.origin)).scaleb(-decimals), Decimal(0)))
            for one in coupons
        ]

    def note(
        self, invoice: _Name, line: _Row | None, threshold_totals_of: ThresholdTotals, taken: list[tuple[Coupon, int]]
    ) -> None:
        """Keep what coupons take of an invoice that is recomputed."""
        if invoice in self._again:
            found = self._worked_out.setdefault(self._again[invoice][1], {})
        elif line is not None and line["invoice_type"] == "period":
            period = (line["tenant"], line["subscription"], line["period_from"])
            found = self._worked_out.setdefault(
                period, {origin: minor for origin, (_, minor) in threshold_totals_of.taken.items()}
            )
        else:
            return
        for coupon, minor in taken:
            found[coupon.origin] = found.get(coupon.origin, 0) + minor


def net_lines(
    shown: pl.DataFrame,
    booked: pl.DataFrame,
    discounts: pl.DataFrame,
    coupons: pl.DataFrame,
    known: Mapping[tuple[str, str], datetime],
    closings: ClosedPeriods,
) -> pl.DataFrame:
    """RECOMPUTED_LINES with ``net_minor``: coupons of the booked invoice come off.

    A coupon is allocated over all lines of its invoice, also those that no event changes. One that held and
    took nothing, because there was nothing that it covers, is among them too; not one that lasts for some periods
    alone, of which such a period is none.

    Args:
        shown: ``shown_amounts`` lines with invoice_id and plan.
        booked: BOOKED_LINES, their terms and plan (null: of none), and decimals of the invoices' currencies.
        discounts: schema.TAKEN of the booked invoices.
        coupons: COUPONS.
        known: by tenant and invoice_id, the state of knowledge booked for it.
        closings: totals of other invoices of the periods.
    """
    ruled = shown.select(*_INVOICE_ID, "rounding_mode").unique(_INVOICE_ID, keep="first")
    staying = (
        booked.filter(pl.col("line_origin") != OWN)
        .drop("net_minor")
        .join(ruled, on=_INVOICE_ID, how="left", maintain_order="left")
        .with_columns(pl.col("rounding_mode").fill_null("half_up"))
    )
    whole = _in_order(shown.with_columns(pl.lit(OWN).alias("line_origin")), staying, booked)
    first = shown.unique(_INVOICE_ID, keep="first").iter_rows(named=True)
    periods = {(row["tenant"], row["invoice_id"]): row for row in first}
    parts = []
    taken_of, rows_of = _taken_by_invoice(discounts), _coupons_by_origin(coupons)
    held_by = coupons.partition_by("tenant", "customer", as_dict=True)
    grouped = whole.group_by(_INVOICE_ID, maintain_order=True)
    for one, rows in closings.ordered(((str(tenant), str(invoice)), rows) for (tenant, invoice), rows in grouped):
        taken, line = taken_of[one], periods.get(one)
        threshold_totals_of = closings.threshold_totals_of(one, line)
        coupon_rows = [
            found for origin in {*taken, *threshold_totals_of.taken} for found in rows_of.get((one[0], origin), ())
        ]
        own = coupons.clear() if line is None else held_by.get((one[0], line["customer"]), coupons.clear())
        applied = _applied(taken, [row for _, row in sorted(coupon_rows, key=itemgetter(0))], threshold_totals_of, line)
        applied += _idle(taken, own, threshold_totals_of, line, known.get(one))
        net, off = _net(rows, closings.left(one, applied, taken, rows["decimals"][0]), threshold_totals_of)
        closings.note(one, line, threshold_totals_of, off)
        parts.append(rows.with_columns(pl.Series("net_minor", net, pl.Int64)))
    return pl.concat(parts) if parts else whole.with_columns(pl.lit(0, pl.Int64).alias("net_minor"))


def _taken_by_invoice(discounts: pl.DataFrame) -> defaultdict[_Name, dict[str, int]]:
    """By tenant and invoice_id, what each coupon (``origin``) took."""
    found: defaultdict[_Name, dict[str, int]] = defaultdict(dict)
    for row in discounts.iter_rows(named=True):
        found[row["tenant"], row["invoice_id"]][row["origin"]] = row["amount_minor"]
    return found


def _coupons_by_origin(coupons: pl.DataFrame) -> Mapping[_Name, list[tuple[int, _Row]]]:
    """By tenant and origin, rows of COUPONS with their place in the frame."""
    found: defaultdict[_Name, list[tuple[int, _Row]]] = defaultdict(list)
    for place, row in enumerate(coupons.iter_rows(named=True)):
        found[row["tenant"], row["origin"]].append((place, row))
    return found


def _in_order(own: pl.DataFrame, lasting: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """Recomputed lines and those that stay, each invoice's as it lists them.

    A recomputed line takes the seat of the one that was booked in its place; one that is new sits behind the one before
    it.
    """
    nth = pl.int_range(pl.len()).over(_NAMED).alias("nth")
    seats = (
        booked.filter(pl.col("line_origin") == OWN)
        .drop_nulls("line_no")
        .with_columns(nth)
        .select(*_NAMED, "nth", "line_no")
    )
    seat = pl.col("line_no").cum_max().forward_fill().over(_INVOICE_ID).fill_null(0)
    seated = own.with_columns(nth).join(seats, on=[*_NAMED, "nth"], how="left", maintain_order="left")
    unpriced = lasting.with_columns(pl.lit(None).alias(name) for name in ("amount_precise", "rank", "tiers"))
    both = pl.concat(RECOMPUTED_LINES.conform(part) for part in (seated.with_columns(seat), unpriced))
    return both.sort(*_INVOICE_ID, "line_no", maintain_order=True)


def _applied(
    taken: Mapping[str, int], coupon_rows: list[_Row], earlier: ThresholdTotals, line: _Row | None
) -> list[Coupon]:
    """The coupons (``coupon_rows``) of an invoice or of the threshold invoices of its period."""
    if line is None or line["invoice_type"] != "period":
        return [coupon_of(row, None) for row in coupon_rows]
    billing, before = _billing(line), {origin: minor for origin, (_, minor) in earlier.taken.items()}
    return [
        coupon_of(
            row,
            most_of_period(billing, row["removed_at"], before.get(row["origin"]), taken.get(row["origin"], 0)),
        )
        for row in coupon_rows
    ]


def _billing(line: _Row) -> Billing:
    """What the invoice is for on which a line stands."""
    close = line["period_from"] if line["invoice_type"] == "start" else line["period_to"]
    return Billing(line["subscription"], line["currency"], line["invoice_type"], line["period_from"], close)


def _idle(
    taken: Mapping[str, int],
    coupons: pl.DataFrame,
    earlier: ThresholdTotals,
    line: _Row | None,
    known_at: datetime | None,
) -> list[Coupon]:
    """Coupons (of the invoice's customer) that held, were known, and took nothing."""
    if line is None or known_at is None:
        return []
    billing = _billing(line)
    others = coupons.filter(
        pl.col("periods").is_null(),
        pl.col("received_at") <= known_at,
        ~pl.col("origin").is_in([*taken, *earlier.taken]),
    )
    return [
        coupon_of(row, None)
        for row in others.iter_rows(named=True)
        if holds(row, billing, ()) and not billing.sees(row["removed_at"])
    ]


def _net(
    rows: pl.DataFrame, coupons: list[Coupon], earlier: ThresholdTotals
) -> tuple[list[int], list[tuple[Coupon, int]]]:
    """What coupons leave of each line, and what each of them takes."""
    left: list[int] = rows["amount_minor"].to_list()
    if not (coupons or earlier.taken):
        return left, []
    lines = [
        GrossLine(
            row["key"],
            row["amount_minor"],
            plan=row["plan"],
            charge=row["key"],
            name=(row["key"], row["dimensions"]) if row["kind"] in OF_PERIOD else None,
        )
        for row in rows.iter_rows(named=True)
    ]
    off = apply_coupons(coupons, lines, left, rows["decimals"][0], rows["rounding_mode"][0], earlier)
    return left, off
