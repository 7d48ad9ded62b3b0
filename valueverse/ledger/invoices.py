"""What invoices move: receivable, revenue (at once or deferred and released by the day), tax, and credits used."""

from __future__ import annotations

import polars as pl

from valueverse.ledger.accounts import (
    CUSTOMER_CREDIT,
    DEFERRED_REVENUE,
    GRANTED_CREDIT,
    PROMOTIONAL_CREDIT,
    RECEIVABLE,
    REVENUE,
    TAX_PAYABLE,
    move,
)
from valueverse.schemas.ledger import JOURNAL_MOVEMENTS
from valueverse.subscriptions import local_date

_INVOICE = ["tenant", "number"]


def invoice_movements(
    invoices: pl.DataFrame, lines: pl.DataFrame, paid: pl.DataFrame, blocks: pl.DataFrame
) -> pl.DataFrame:
    """Movements of kind ``invoice`` and ``revenue_recognition``.

    Args:
        invoices: DOCUMENT_INVOICES.
        lines: DOCUMENT_LINES.
        paid: DOCUMENT_CREDITS.
        blocks: tenant, origin, wallet_kind of every grant and purchase; an unknown one counts as purchased.
    """
    headers = invoices.with_columns(
        pl.lit("invoice").alias("kind"),
        pl.col("number").alias("reference"),
        pl.col("number").alias("invoice"),
        pl.col("issued_on").alias("date"),
    )
    served = _served(net_of_discounts(lines, invoices), headers)
    return pl.concat([*_totals(headers, served), *_credits(headers, paid, blocks), *_released(served)])


def net_of_discounts(lines: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Add ``net_minor``: a line's amount less its discount; where only the invoice's discount is known, it is spread
    over the positive lines by largest remainder, or where there are none over all of them."""
    total = lines.join(invoices.select(*_INVOICE, pl.col("discount_minor").alias("off")), on=_INVOICE)
    wide = pl.Int128
    positive = pl.max_horizontal("amount_minor", 0)
    size = pl.col("amount_minor").abs()
    none = size.sum().over(_INVOICE) == 0
    weight = pl.when(none).then(1).when(positive.sum().over(_INVOICE) > 0).then(positive).otherwise(size)
    share = total.with_columns(weight.cast(wide).alias("weight"))
    whole = pl.max_horizontal(pl.col("weight").sum().over(_INVOICE), pl.lit(1, wide))
    parted = share.with_columns(
        (pl.col("off").cast(wide) * pl.col("weight") // whole).cast(pl.Int64).alias("base"),
        (pl.col("off").cast(wide) * pl.col("weight") % whole).cast(pl.Int64).alias("remainder"),
    )
    left = pl.col("off") - pl.col("base").sum().over(_INVOICE)
    rank = pl.struct(-pl.col("remainder"), "line_no").rank("ordinal").over(_INVOICE)
    spread = pl.col("base") + (rank <= left).cast(pl.Int64)
    return parted.with_columns(
        (pl.col("amount_minor") - pl.coalesce("discount_minor", spread)).alias("net_minor")
    ).drop("off", "weight", "base", "remainder")


def _served(lines: pl.DataFrame, headers: pl.DataFrame) -> pl.DataFrame:
    """Lines with their local service days (``first_day`` .. ``last_day``) and whether they are deferred."""
    columns = ("kind", "reference", "invoice", "date", "customer", "currency", "timezone")
    named = lines.join(headers.select(*_INVOICE, *columns), on=_INVOICE)
    dated = local_date(named, pl.col("service_from"), "timezone", "first_day")
    dated = local_date(dated, pl.col("service_to") - pl.duration(microseconds=1), "timezone", "last_day")
    deferred = (pl.col("service_from") < pl.col("service_to")) & (pl.col("last_day") > pl.col("date"))
    return dated.with_columns(deferred.fill_null(value=False).alias("is_deferred"))


def _totals(headers: pl.DataFrame, served: pl.DataFrame) -> list[pl.DataFrame]:
    owners = ("customer", "invoice")
    sums = served.group_by(_INVOICE).agg(
        pl.col("net_minor").filter("is_deferred").sum().alias("deferred"),
        pl.col("net_minor").filter(~pl.col("is_deferred")).sum().alias("earned"),
    )
    rows = headers.join(sums, on=_INVOICE, how="left").with_columns(pl.col("deferred", "earned").fill_null(0))
    owed = rows.filter(pl.col("total_minor") > 0)
    # What an invoice below zero gives back is used by later ones: it is open by none.
    given_back = rows.filter(pl.col("total_minor") < 0)
    # But for what is owed again on it, which it pays first.
    again = given_back.filter(pl.col("credit_minor") < 0).with_columns(
        pl.max_horizontal("total_minor", "credit_minor").alias("owed_again")
    )
    return [
        move(owed, RECEIVABLE, "total_minor", *owners),
        move(given_back, RECEIVABLE, "total_minor", "customer"),
        move(again, RECEIVABLE, -pl.col("owed_again"), "customer"),
        move(again, RECEIVABLE, "owed_again", *owners),
        move(rows, REVENUE, -pl.col("earned"), *owners),
        move(rows, DEFERRED_REVENUE, -pl.col("deferred"), *owners),
        move(rows, TAX_PAYABLE, -pl.col("tax_minor")),
    ]


def _credits(headers: pl.DataFrame, paid: pl.DataFrame, blocks: pl.DataFrame) -> list[pl.DataFrame]:
    columns = ("kind", "reference", "invoice", "date", "customer", "currency")
    used = (
        paid.rename({"kind": "credit_kind"})
        .join(headers.select(*_INVOICE, *columns), on=_INVOICE)
        .join(blocks, on=["tenant", "origin"], how="left")
        .with_columns(pl.col("key").alias("wallet"))
    )
    notes = used.filter(pl.col("credit_kind") == "credit_note")
    wallets = used.filter(pl.col("credit_kind") == "wallet")
    granted = wallets.filter(pl.col("wallet_kind") == "granted")
    return [
        # The note lowered what the customer owes when it was issued; here it finds the invoice that it pays.
        move(notes, RECEIVABLE, "amount_minor", "customer"),
        move(notes, RECEIVABLE, -pl.col("amount_minor"), "customer", "invoice"),
        move(wallets, CUSTOMER_CREDIT, "amount_minor", "customer", "wallet"),
        move(wallets, RECEIVABLE, -pl.col("amount_minor"), "customer", "invoice"),
        move(granted, PROMOTIONAL_CREDIT, "amount_minor", "customer", "invoice"),
        move(granted, GRANTED_CREDIT, -pl.col("amount_minor"), "customer", "wallet"),
    ]


def release_schedule(deferrals: pl.DataFrame) -> pl.DataFrame:
    """Straight-line release by the day, summed per calendar month: ``month`` (its first day), ``released_on`` and
    ``released_minor`` beside the columns given.

    Each of the n days from ``first_day`` to ``last_day`` releases deferred_minor / n; by largest remainder the first
    days get one minor unit more, so the sum is exact. The month's share is booked on its last day of service.

    Args:
        deferrals: deferred_minor (either sign), first_day, last_day; one row per deferral.
    """
    days = (pl.col("last_day") - pl.col("first_day")).dt.total_days() + 1
    split = deferrals.with_columns(days.alias("days")).with_columns(
        (pl.col("deferred_minor") // pl.col("days")).alias("daily"),
        (pl.col("deferred_minor") % pl.col("days")).alias("extra"),
        pl.date_ranges(pl.col("first_day").dt.month_start(), "last_day", "1mo").alias("month"),
    )
    months = split.explode("month", empty_as_null=False).with_columns(
        pl.min_horizontal("last_day", pl.col("month").dt.month_end()).alias("released_on")
    )
    begin = (pl.max_horizontal("first_day", "month") - pl.col("first_day")).dt.total_days()
    end = (pl.col("released_on") - pl.col("first_day")).dt.total_days() + 1
    bearing = pl.min_horizontal(end, "extra") - pl.min_horizontal(begin, "extra")
    return months.with_columns((pl.col("daily") * (end - begin) + bearing).alias("released_minor")).drop(
        "days", "daily", "extra"
    )


def _released(served: pl.DataFrame) -> list[pl.DataFrame]:
    deferrals = (
        served.filter("is_deferred")
        .group_by(*_INVOICE, "invoice", "customer", "currency", "date", "first_day", "last_day", maintain_order=True)
        .agg(pl.col("net_minor").sum().alias("deferred_minor"))
    )
    if deferrals.is_empty():
        return [JOURNAL_MOVEMENTS.to_frame()]
    # Days served before the invoice was issued are earned when it is: nothing can be released before it is deferred.
    rows = release_schedule(deferrals).with_columns(
        pl.max_horizontal("released_on", "date").alias("date"),
        pl.lit("revenue_recognition").alias("kind"),
        pl.col("invoice").alias("reference"),
    )
    return [
        move(rows, DEFERRED_REVENUE, "released_minor", "customer", "invoice"),
        move(rows, REVENUE, -pl.col("released_minor"), "customer", "invoice"),
    ]


def void_movements(moved: pl.DataFrame, voids: pl.DataFrame) -> pl.DataFrame:
    """Movements of kind ``void``: everything of the invoice taken back, on the day of the void or, where it was to come
    later, on its own day.

    Args:
        moved: movements of kind ``invoice`` and ``revenue_recognition``.
        voids: tenant, number, void_date.
    """
    taken = moved.join(voids, left_on=["tenant", "reference"], right_on=["tenant", "number"])
    return taken.select(
        (-pl.col(name)).alias(name)
        if name == "amount_minor"
        else pl.lit("void").alias(name)
        if name == "kind"
        else pl.max_horizontal("date", "void_date").alias(name)
        if name == "date"
        else pl.col(name)
        for name in JOURNAL_MOVEMENTS
    )
