"""What billing events say about money beside plans: coupons, prepaid wallets, one-offs, credit notes, voided invoices.

Frames in, frames out: each kind of event becomes one frame, and what cannot be applied is listed with the reason.
``origin`` names the event that a row came from, so that what was used up can always be traced to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401 - registers .chash

from valueverse.dates import utc_midnight
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.settlement import COUPONS, CREDIT_NOTES, INVOICE_VOIDS, ONE_OFFS, WALLETS
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions import event_field, exact_text, number_field, rejected_events

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import Timeline

_TARGET = ["tenant", "customer", "subscription", "coupon"]
_NUMBER = ["tenant", "number"]
_ESCAPED = pl.col("source").str.replace_all("%", "%25", literal=True).str.replace_all("#", "%23", literal=True)
EVENT_ORIGIN = pl.format("{}#{}", _ESCAPED, "id").alias("origin")
"""One text per event: source a#b with id c is not source a with id b#c."""

NOT_FINALISED = pl.format(
    "no invoice '{}' had been finalised when this was received; if it is meant for a later one, send it under a new id",
    "number",
)
"""Why a void or a credit note of ``number`` does not count (docs/decisions/0720)."""


@dataclass(frozen=True)
class AdjustmentEvents:
    """COUPONS, WALLETS, ONE_OFFS, CREDIT_NOTES, INVOICE_VOIDS, and what could not be applied (REJECTED_EVENTS)."""

    coupons: pl.DataFrame
    wallets: pl.DataFrame
    one_offs: pl.DataFrame
    notes: pl.DataFrame
    voids: pl.DataFrame
    rejected: pl.DataFrame


def read_adjustment_events(timeline: Timeline, history: CatalogHistory) -> AdjustmentEvents:
    """Read the timeline's ``adjustments`` events."""
    if timeline.adjustment_events.is_empty():
        kinds = (COUPONS, WALLETS, ONE_OFFS, CREDIT_NOTES, INVOICE_VOIDS, REJECTED_EVENTS)
        return AdjustmentEvents(*(kind.to_frame() for kind in kinds))
    adjustments = timeline.adjustment_events.with_columns(EVENT_ORIGIN)
    coupons, rejected = _coupons(adjustments, timeline, history)
    stray = _stray(adjustments, timeline)
    return AdjustmentEvents(
        coupons,
        wallet_rows(adjustments),
        _one_offs(adjustments),
        credit_note_rows(adjustments),
        invoice_voids(adjustments),
        pl.concat([rejected, stray]).cast(REJECTED_EVENTS),
    )


def _of(adjustments: pl.DataFrame, *kinds: str) -> pl.DataFrame:
    return adjustments.filter(pl.col("type").is_in([f"billing.{kind}" for kind in kinds]))


def _moment(name: str) -> pl.Expr:
    """An RFC 3339 instant; a bare date is midnight UTC (the customer's zone does not decide about prepaid money)."""
    return _point(event_field(name)).alias(name)


def _names(name: str) -> pl.Expr:
    texts = pl.col("data").str.json_path_match(f"$.{name}").str.json_decode(pl.List(pl.String))
    return texts.fill_null([]).alias(name)


def _definitions(history: CatalogHistory) -> pl.DataFrame:
    """Every coupon of every catalog."""
    rows = [
        (
            catalog_hash, coupon.key, coupon.percent, coupon.amount, coupon.currency,
            list(coupon.applies_to.plans), list(coupon.applies_to.charges), coupon.periods,
        )
        for catalog_hash, catalog in history.catalogs.items()
        for coupon in catalog.coupons
    ]  # fmt: skip
    names = ("percent", "amount", "currency", "plans", "charges", "periods")
    schema = {"catalog_hash": pl.String(), "coupon": pl.String()} | {name: COUPONS[name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _coupons(
    adjustments: pl.DataFrame, timeline: Timeline, history: CatalogHistory
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Applications with their coupon as the catalog in force then defines it, and until when they hold."""
    owners = timeline.segments.select("tenant", "subscription", pl.col("customer").alias("owner")).unique()
    rows = (
        _of(adjustments, "coupon.applied", "coupon.removed")
        .with_columns(event_field("customer"), event_field("subscription"), event_field("coupon"))
        .join(owners, on=["tenant", "subscription"], how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("subscription").is_null()).then("customer").otherwise("owner").alias("customer"))
        .with_columns(pl.col("type").str.ends_with("applied").alias("applies"))
    )
    nobody = rows.filter(pl.col("customer").is_null())
    placed = rows.filter(pl.col("customer").is_not_null())
    before = pl.col("applies").shift(1, fill_value=False).over(_TARGET)
    idle = placed.filter(pl.col("applies") == before)
    turns = placed.filter(pl.col("applies") != before).with_columns(
        pl.col("time").shift(-1).over(_TARGET).alias("removed_at")
    )
    versions = history.versions.select("tenant", "effective_at", "catalog_hash").sort("effective_at")
    dated = turns.filter("applies").sort("time").join_asof(
        versions, left_on="time", right_on="effective_at", by="tenant", check_sortedness=False
    )  # fmt: skip
    defined = dated.join(_definitions(history), on=["catalog_hash", "coupon"], how="left", maintain_order="left")
    unknown = pl.col("percent").is_null() & pl.col("amount").is_null()
    quoted = pl.concat_str(pl.lit("the coupon '"), "coupon", pl.lit("' "))
    rejected = pl.concat(
        [
            rejected_events(
                nobody, "unknown_subscription", quoted + "needs a customer, or a subscription that has started"
            ),
            rejected_events(idle.filter("applies"), "already_applied", quoted + "is applied to it already"),
            rejected_events(idle.filter(~pl.col("applies")), "not_applied", quoted + "is not applied to it"),
            rejected_events(defined.filter(unknown), "unknown_coupon", quoted + "is in no catalog in force then"),
        ]
    )
    accepted = defined.filter(~unknown).rename({"time": "applied_at"})
    return accepted.select(pl.col(name).cast(dtype) for name, dtype in COUPONS.items()), rejected


def wallet_rows(adjustments: pl.DataFrame) -> pl.DataFrame:
    """WALLETS of the events with these ``origin``."""
    return _of(adjustments, "wallet.granted", "wallet.purchased", "wallet.voided").select(
        "tenant", event_field("customer"), event_field("wallet"), "origin",
        pl.col("type").str.strip_prefix("billing.wallet.").alias("kind"),
        number_field("amount"), event_field("currency"), number_field("priority"), _moment("expires_at"),
        pl.col("time").alias("created_at"), _names("restrict_to"),
    ).cast(WALLETS)  # fmt: skip


def _one_offs(adjustments: pl.DataFrame) -> pl.DataFrame:
    rows = _of(adjustments, "one_off.added").with_columns(
        pl.col("data").str.json_path_match("$.service_period").alias("period")
    )
    stated = {name: _point(pl.col("period").str.json_path_match(f"$.{name}")).cast(INSTANT) for name in ("from", "to")}
    begins = pl.coalesce("from", pl.min_horizontal("time", "to"))
    # What states one end alone, or a day and an instant, may end before it begins: then it is that moment.
    ends = pl.max_horizontal(begins, pl.coalesce("to", "time"))
    timed = rows.with_columns(**stated).with_columns(begins.alias("service_from"), ends.alias("service_to"))
    digest: pl.Expr = pl.col("origin").chash.sha2_256()  # type: ignore[attr-defined]  # registered by polars_hash
    key = pl.concat_str(pl.lit("one_off-"), digest.str.head(12))
    return timed.select(
        "tenant", event_field("customer"), key.alias("key"), "origin", event_field("description"),
        number_field("amount"),
        event_field("currency"), "time", "service_from", "service_to",
    ).cast(ONE_OFFS)  # fmt: skip


def _point(text: pl.Expr) -> pl.Expr:
    whole = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    return pl.coalesce(utc_midnight(text.str.to_date("%F", strict=False)), whole)


def credit_note_rows(adjustments: pl.DataFrame) -> pl.DataFrame:
    """CREDIT_NOTES of the events with these ``origin``."""
    lines = pl.col("data").str.json_path_match("$.lines").str.json_decode(pl.List(pl.Struct({"amount": pl.String})))
    listed = lines.list.eval(exact_text(pl.element().struct.field("amount"))).list.sum()
    return _of(adjustments, "credit_note.issued").select(
        "tenant", event_field("invoice").alias("number"), "origin",
        pl.coalesce(number_field("amount"), listed).alias("amount"),
        event_field("reason"), pl.col("time").alias("created_at"), "received_at",
        "source", "id", "type", "time",
    ).cast(CREDIT_NOTES)  # fmt: skip


def invoice_voids(adjustments: pl.DataFrame) -> pl.DataFrame:
    """INVOICE_VOIDS of these billing events."""
    return (
        _of(adjustments, "invoice.voided")
        .select(
            "tenant",
            event_field("invoice").alias("number"),
            event_field("reason"),
            pl.col("time").alias("voided_at"),
            "received_at",
        )
        .unique(["tenant", "number", "received_at"], keep="first", maintain_order=True)
        .cast(INVOICE_VOIDS)
    )


def voids_in_effect(voids: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """INVOICE_VOIDS that have taken effect by an instant: one of a later date waits for it (contracts.md: ``time`` is
    the effective time; docs/decisions/1618)."""
    return voids.filter(pl.col("voided_at") <= pl.lit(as_of, INSTANT))


def voids_that_count(voids: pl.DataFrame, bills: pl.DataFrame) -> pl.DataFrame:
    """INVOICE_VOIDS of invoices that had their number when the void was received (docs/decisions/0720).

    Args:
        voids: INVOICE_VOIDS.
        bills: tenant, number, events_known_at and more.
    """
    numbered = bills.select(*_NUMBER, "events_known_at")
    known = voids.join(numbered, on=_NUMBER, maintain_order="left")
    return known.filter(pl.col("events_known_at") < pl.col("received_at")).drop("events_known_at")


def with_voids(bills: pl.DataFrame, voids: pl.DataFrame) -> pl.DataFrame:
    """Invoices with their ``voided_at``, of several voids that count the first; what was voided before stays as it is.

    Args:
        bills: tenant, number, events_known_at, voided_at and more.
        voids: INVOICE_VOIDS.
    """
    first = voids_that_count(voids, bills).unique(_NUMBER, keep="first", maintain_order=True)
    now = first.select(*_NUMBER, pl.col("voided_at").alias("voided_now"))
    marked = bills.join(now, on=_NUMBER, how="left", maintain_order="left")
    return marked.with_columns(pl.coalesce("voided_at", "voided_now").alias("voided_at")).drop("voided_now")


def voids_of_unknown_invoices(timeline: Timeline, unknown: pl.DataFrame) -> pl.DataFrame:
    """Voids of numbers that no invoice had when they were received (``unknown``: tenant, number, received_at), as
    REJECTED_EVENTS."""
    voids = _of(timeline.adjustment_events, "invoice.voided").with_columns(event_field("invoice").alias("number"))
    strays = voids.join(unknown, on=["tenant", "number", "received_at"], how="semi")
    return rejected_events(strays, "unknown_invoice", NOT_FINALISED)


def _stray(adjustments: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """Wallets and one-offs of customers without a billing event are held and listed."""
    rows = _of(adjustments, "wallet.granted", "wallet.purchased", "wallet.voided", "one_off.added").with_columns(
        event_field("customer")
    )
    strangers = rows.join(timeline.customers.select("tenant", "customer"), on=["tenant", "customer"], how="anti")
    message = pl.concat_str(pl.lit("no customer '"), "customer", pl.lit("' has been created, nor has a subscription"))
    return rejected_events(strangers, "unknown_customer", message)
