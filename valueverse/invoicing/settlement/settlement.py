"""Coupons, tax, credit notes and wallets over a run's invoices: each customer's in the order they are issued.

What one invoice uses up the next one lacks, so a customer's invoices are worked through one after the other by
``totals.totals_of``, the arithmetic that ``valueverse invoice`` answers with. Invoices that nothing of the kind
concerns are totalled as frames.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing.rendering.document_hash import invoice_id, invoice_number
from valueverse.invoicing.rules import CORRECTION, OF_PERIOD
from valueverse.invoicing.settlement.credit_notes import counting, judge_credit_notes, refused
from valueverse.invoicing.settlement.customer_balance import CustomerBalance, Issue
from valueverse.invoicing.settlement.totals import GrossLine, InvoiceParts, Totals, totals_of
from valueverse.schemas.invoicing import INVOICE, INVOICE_NUMBERS, WORKING_LINES
from valueverse.schemas.settlement import INVOICE_TOTALS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from valueverse.invoicing.prior_state import ConsumedCredits
    from valueverse.invoicing.settlement.adjustment_events import AdjustmentEvents
    from valueverse.invoicing.settlement.customer_balance import Period
    from valueverse.invoicing.settlement.threshold_totals import ThresholdTotals

NUMBERING_ORDER = (
    "tenant",
    "close",
    "subscription",
    "invoice_type",
    "period_from",
    "customer",
    "revision",
    "period_to",
)
"""Order in which a run numbers a tenant's invoices."""
_ISSUED = ("tenant", "customer", "finalise_after", *NUMBERING_ORDER[1:])
MOVING = ("adjustment", "one_off", "outcome")
"""Kinds of lines that wait for the next invoice when their own is not issued."""


@dataclass(frozen=True)
class Settled:
    """Invoices with the columns of totals, lines with discount_minor and tax_minor, and what could not be applied."""

    invoices: pl.DataFrame
    lines: pl.DataFrame
    rejected: pl.DataFrame


def settle(
    invoices: pl.DataFrame,
    lines: pl.DataFrame,
    adjustments: AdjustmentEvents,
    used: ConsumedCredits,
    *,
    numbered: bool,
    earlier: Mapping[tuple[str, str, str, datetime], ThresholdTotals],
    closed: Collection[Period] = (),
) -> Settled:
    """Add totals to invoices and discount_minor and tax_minor to lines; drop invoices that come to nothing by policy.

    Args:
        invoices: as ``invoices_of`` gives them.
        lines: WORKING_LINES with plan and taxes.
        adjustments: coupons, wallets and credit notes.
        used: what earlier invoices used of them.
        numbered: credit notes name invoices by the numbers in ``used``; False: by the numbers that these invoices
            would get if they were all that there is.
        earlier: amounts of threshold invoices that are not voided (``threshold_totals.threshold_totals``).
        closed: the periods of which a closing invoice stands.
    """
    ordered = _skippable(invoices, lines).sort(_ISSUED).with_row_index("bill")
    numbers = used.numbers if numbered else _provisional(invoices, lines, adjustments, used)
    notes = judge_credit_notes(adjustments.notes, numbers, used.corrected)
    accounts = CustomerBalance.open(adjustments, counting(notes), used, earlier, closed)
    concerned = _concerned(ordered, lines, accounts)
    plain = ordered.join(concerned, on="bill", how="anti").with_columns(_nothing())
    worked = ordered.join(concerned, on="bill", how="semi")
    totals, parts = _work(worked, lines, accounts)
    done = worked.join(totals, on="bill", maintain_order="left")
    everything = pl.concat([plain, done], how="vertical_relaxed").sort("bill").drop("bill")
    issued = everything.filter((pl.col("total_minor") != 0) | ~pl.col("skips_zero")).drop("skips_zero")
    split = (
        lines.drop("discount_minor", "tax_minor")
        .join(parts, on="place", how="left", maintain_order="left")
        .with_columns(pl.col("discount_minor", "tax_minor").fill_null(0))
        .join(issued.select(INVOICE), on=INVOICE, how="semi", maintain_order="left")
    )
    return Settled(issued, WORKING_LINES.conform(split), refused(notes))


def _skippable(invoices: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Add ``skips_zero``: whether an invoice is left out if it comes to nothing.

    One that comes to nothing because a correction or a one-off offsets its period is not: these would move on to the
    next invoice, and the period would never be billed. One that is made for corrections of 0 alone is left out whatever
    the policy is: nothing changes for the customer.
    """
    moving = lines.filter(pl.col("kind").is_in(MOVING), pl.col("amount_minor") != 0).select(INVOICE).unique()
    marked = invoices.join(moving.with_columns(pl.lit(value=True).alias("moves_credit")), on=INVOICE, how="left")
    by_policy = (pl.col("zero_invoices") == "skip") | (pl.col("invoice_type") == CORRECTION)
    skips = by_policy & pl.col("moves_credit").is_null()
    return marked.with_columns(skips.alias("skips_zero")).drop("moves_credit")


def _nothing() -> list[pl.Expr]:
    zero = {name: pl.lit(0, pl.Int64) for name in ("discount_total_minor", "tax_total_minor", "credit_total_minor")}
    subtotal = {name: pl.col("subtotal_minor") for name in ("total_minor", "amount_due_minor")}
    lists = {
        name: pl.lit([], dtype) for name, dtype in INVOICE_TOTALS.items() if name in {"discounts", "taxes", "credits"}
    }
    return [(zero | subtotal | lists)[name].alias(name) for name in INVOICE_TOTALS]


def _provisional(
    invoices: pl.DataFrame, lines: pl.DataFrame, adjustments: AdjustmentEvents, used: ConsumedCredits
) -> pl.DataFrame:
    """The numbers that these invoices get if they are their tenants' first: a total does not depend on credit notes."""
    if adjustments.notes.is_empty():
        return INVOICE_NUMBERS.to_frame()
    issued = settle(
        invoices, lines, replace(adjustments, notes=adjustments.notes.clear()), used, numbered=True, earlier={}
    ).invoices
    sequenced = issued.sort(NUMBERING_ORDER).with_columns(
        pl.int_range(1, pl.len() + 1).over("tenant").alias("sequence")
    )
    numbers = [invoice_number(*row) for row in sequenced.select("tenant", "sequence").iter_rows()]
    return sequenced.select(
        "tenant", pl.Series("number", numbers, pl.String), pl.lit(None).alias("invoice_id"), "customer", "currency",
        "total_minor", pl.col("finalise_after").alias("issued_at"), pl.lit(None).alias("voided_at"),
        pl.lit(None).alias("events_known_at"),
    ).cast(INVOICE_NUMBERS)  # fmt: skip


def _concerned(
    ordered: pl.DataFrame, lines: pl.DataFrame, accounts: Mapping[tuple[str, str], CustomerBalance]
) -> pl.DataFrame:
    """Bills that tax, a coupon or a credit may change: all of a customer's, since one depends on the other."""
    taxed = lines.filter(pl.col("tax_percent") != 0).select("tenant", "customer")
    negative = ordered.filter(pl.col("subtotal_minor") < 0).select("tenant", "customer")
    named = pl.DataFrame(list(accounts), schema=taxed.schema, orient="row")
    people = pl.concat([taxed, negative, named]).unique()
    return ordered.join(people, on=["tenant", "customer"], how="semi").select("bill")


def _work(
    worked: pl.DataFrame, lines: pl.DataFrame, accounts: dict[tuple[str, str], CustomerBalance]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Totals per bill and parts per line (place, discount_minor, tax_minor)."""
    columns = (
        "bill", "place", "key", "kind", "dimensions", "plan", "amount_minor", "tax_percent", "tax_key",
    )  # fmt: skip
    mine = lines.join(worked.select(*INVOICE, "bill"), on=INVOICE).sort("bill", "place").select(columns)
    by_bill: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for bill, rows in groupby(mine.iter_rows(named=True), key=itemgetter("bill")):
        by_bill[bill] = list(rows)
    totals, parts = [], []
    for row in worked.iter_rows(named=True):
        owner = (row["tenant"], row["customer"])
        account = accounts.setdefault(owner, CustomerBalance(*owner))
        found = account.settle(_issue(row), by_bill[row["bill"]], _invoice_of)
        totals.append({"bill": row["bill"]} | _columns(found, by_bill[row["bill"]]))
        parts += [
            (line["place"], part.discount, part.tax)
            for line, part in zip(by_bill[row["bill"]], found.lines, strict=True)
        ]
    part_schema = {"place": lines.schema["place"], "discount_minor": pl.Int64(), "tax_minor": pl.Int64()}
    total_schema = {"bill": worked.schema["bill"]} | INVOICE_TOTALS
    return pl.DataFrame(totals, schema=total_schema), pl.DataFrame(parts, schema=part_schema, orient="row")


def _issue(row: dict[str, Any]) -> Issue:
    return Issue(
        subscription=row["subscription"],
        invoice_type=row["invoice_type"],
        period_from=row["period_from"],
        close=row["close"],
        issued_at=row["finalise_after"],
        currency=row["currency"],
        decimals=row["decimals"],
        mode=row["rounding_mode"],
        skip_zero=row["skips_zero"],
        origin=invoice_id(row),
        key=f"balance:{row['period_from']:%Y-%m-%d}/{row['period_to']:%Y-%m-%d}",
    )


def _invoice_of(bill: InvoiceParts, rows: Sequence[dict[str, Any]]) -> Totals:
    lines = [
        GrossLine(
            key=row["key"],
            amount=row["amount_minor"],
            kind=row["kind"],
            tax_percent=row["tax_percent"],
            plan=row["plan"],
            charge=row["key"],
            tax_key=row["tax_key"],
            discountable=row["kind"] != "adjustment",
            name=(row["key"], row["dimensions"]) if row["kind"] in OF_PERIOD else None,
        )
        for row in rows
    ]
    return totals_of(bill, lines, [row["amount_minor"] for row in rows])


def _columns(found: Totals, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "discount_total_minor": found.discount_total,
        "tax_total_minor": found.tax_total,
        "total_minor": found.total,
        "credit_total_minor": found.credit_total,
        "amount_due_minor": found.amount_due,
        "discounts": [
            {"key": coupon.key, "origin": coupon.origin, "amount_minor": amount} for coupon, amount in found.discounts
        ],
        "taxes": [
            {
                "key": rate.key,
                "percent": format(rate.percent.normalize(), "f"),
                "base_minor": rate.base,
                "amount_minor": rate.amount,
                "lines": [
                    place
                    for place, row in enumerate(rows, start=1)
                    if (row["tax_percent"], row["tax_key"]) == (rate.percent, rate.key)
                ],
            }
            for rate in found.taxes
        ],
        "credits": [
            {"kind": credit.kind, "key": credit.key, "origin": credit.origin, "amount_minor": credit.amount}
            for credit in found.credits
        ],
    }
