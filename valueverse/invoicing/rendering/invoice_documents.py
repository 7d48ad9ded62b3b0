"""Lines -> invoices: shown amounts by the rounding policy, totals, and the document of each invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.dates import utc_texts
from valueverse.invoicing.knowledge import known_at_of_tenant
from valueverse.invoicing.periods.billing_periods import CLOSE
from valueverse.invoicing.rendering.document_hash import content_hash
from valueverse.invoicing.rules import CORRECTION, RULES_VERSION
from valueverse.money import minor_text, plain_text, with_decimals
from valueverse.schemas.invoicing import INVOICE
from valueverse.schemas.types import EXACT
from valueverse.subscriptions import local_date, local_later

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.invoicing.knowledge import KnownAt

_TOTALS = ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due")
DUE_DAYS = 30
"""Days from issue to due date, where the tenant states no ``payment_terms_days``."""
_POLICY = ("currency", "decimals", "rounding_mode", "rounding_level", "zero_invoices", "catalog_hash")


def _closed(known_at: KnownAt | None) -> pl.Expr:
    """When an invoice closes; one made for corrections, when the run knew of them."""
    if known_at is None:
        return CLOSE
    return pl.when(pl.col("invoice_type") == CORRECTION).then(known_at_of_tenant(known_at)).otherwise(CLOSE)


def invoices_of(
    lines: pl.DataFrame, tenants: pl.DataFrame, zones: pl.DataFrame, known_at: KnownAt | None, bare: pl.DataFrame
) -> pl.DataFrame:
    """One row per invoice with its subtotal and dates.

    Args:
        lines: ``in_order``, catalog_hash included.
        tenants: tenant, grace_seconds, invoicing.
        zones: INVOICE columns and timezone.
        known_at: what ``basis.events_known_at`` says; None: the close of each invoice's period.
        bare: INVOICE, currency, catalog_hash and policy of closing invoices without lines.
    """
    summed = lines.group_by(INVOICE, maintain_order=True).agg(
        pl.col("amount_minor").sum().alias("subtotal_minor"), pl.col(_POLICY).last()
    )
    nothing = with_decimals(bare.with_columns(pl.lit(0, pl.Int64).alias("subtotal_minor")))
    totals = (
        pl.concat([summed, nothing.select(pl.col(summed.columns)).cast(summed.schema)])
        .join(zones, on=INVOICE, how="left", maintain_order="left")
        .join(tenants.select("tenant", "grace_seconds", _due_days()), on="tenant", how="left", maintain_order="left")
        .with_columns(_closed(known_at).alias("close"))
    )
    ended = local_later(totals, "close", "grace_seconds", "timezone", "finalise_after")
    dated = local_date(ended, pl.col("finalise_after"), "timezone", "issued_on")
    known = pl.col("close") if known_at is None else known_at_of_tenant(known_at)
    return dated.with_columns(
        known.alias("events_known_at"), (pl.col("issued_on") + pl.duration(days="due_days")).alias("due_on")
    ).drop("due_days")


def _due_days() -> pl.Expr:
    stated = pl.col("invoicing").str.json_path_match("$.payment_terms_days").cast(pl.Int64)
    return stated.fill_null(DUE_DAYS).alias("due_days")


def _money(minor: str) -> pl.Expr:
    """Minor units as text with the currency's decimals, exact: a row's ``decimals`` is 0 to 4."""
    text: pl.Expr = pl.col(minor).cast(pl.String)
    for places in range(1, 5):
        scaled = pl.col(minor).cast(EXACT) / pl.lit(10**places).cast(EXACT)
        text = (
            pl.when(pl.col("decimals") == places)
            .then(scaled.cast(pl.Decimal(38, places)).cast(pl.String))
            .otherwise(text)
        )
    return text


def _instant(name: str) -> pl.Expr:
    return utc_texts(pl.col(name)).alias(name)


def _line_texts(lines: pl.DataFrame) -> pl.DataFrame:
    texts = lines.with_columns(
        _instant("service_from"),
        _instant("service_to"),
        plain_text(pl.col("quantity")).alias("quantity"),
        plain_text(pl.col("amount_precise")).alias("amount_precise"),
        _money("amount_minor").alias("amount"),
        pl.coalesce(
            "explains",
            pl.when(pl.col("kind") == "usage").then(
                pl.format("{} events of meter {}", "event_count", pl.col("meter").fill_null("(several)"))
            ),
        ).alias("explains"),
    )
    shown = pl.struct(
        "key", "kind", "description", "service_from", "service_to", "meter", "dimensions", "quantity", "tiers",
        "amount_precise", "amount", "event_count", "explains",
    )  # fmt: skip
    return texts.group_by(INVOICE, maintain_order=True).agg(shown.alias("lines"))


def _line(row: dict[str, Any]) -> dict[str, Any]:
    period = {"from": row.pop("service_from"), "to": row.pop("service_to")}
    dimensions = orjson.loads(row["dimensions"]) if row["dimensions"] else None
    return row | {"service_period": period, "dimensions": dimensions}


def _part(stated: dict[str, Any], row: dict[str, Any], *names: str) -> dict[str, Any]:
    """A discount, tax or credit as the document says it: minor units become amounts."""
    return {
        name: stated[name] if name in stated else minor_text(stated[f"{name}_minor"], row["decimals"]) for name in names
    }


def build_invoice_documents(invoices: pl.DataFrame, lines: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The draft document of every invoice (contracts.md, section 4), in the order of ``invoices``."""
    texts = invoices.with_columns(
        _instant("events_known_at"),
        *(_money(f"{name}_minor").alias(name) for name in _TOTALS),
        utc_texts(pl.col("period_from")).alias("from_text"),
        utc_texts(pl.col("period_to")).alias("to_text"),
        pl.col("issued_on", "due_on").dt.strftime("%F"),
    ).join(_line_texts(lines), on=INVOICE, how="left", maintain_order="left")
    for row in texts.iter_rows(named=True):
        draft = {
            "number": None,
            "tenant": row["tenant"],
            "customer": row["customer"],
            "subscription": row["subscription"] or None,
            "status": "draft",
            "currency": row["currency"],
            "issued_on": row["issued_on"],
            "due_on": row["due_on"],
            "period": {"from": row["from_text"], "to": row["to_text"]},
            "lines": [_line(line) for line in row["lines"] or ()],
            "discounts": [_part(one, row, "key", "amount") for one in row["discounts"]],
            "taxes": [_part(one, row, "key", "percent", "base", "amount", "lines") for one in row["taxes"]],
            "credits": [_part(one, row, "kind", "key", "amount") for one in row["credits"]],
            **{name: row[name] for name in _TOTALS},
            "basis": {
                "events_known_at": row["events_known_at"],
                "catalog_hash": row["catalog_hash"],
                "rules_version": RULES_VERSION,
                "rounding": {"mode": row["rounding_mode"], "level": row["rounding_level"]},
            },
            "previous_hash": None,
        }
        yield draft | {"content_hash": content_hash(draft)}
