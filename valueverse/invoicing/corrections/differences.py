"""Everything after finalising is a difference (billing.md, States): late, amended and voided events, early ends.

A finalised invoice whose events changed since is recomputed, as known now; what that gives less what is booked
for it, line by line as shown, becomes ``adjustment`` lines on the subscription's next invoice, or an invoice of its
own (a credit note, if it is below zero) where none will come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import utc_midnight
from valueverse.invoicing.lines.line_amounts import in_order
from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.periods.billing_periods import CLOSE, present_periods
from valueverse.invoicing.periods.due_invoices import BEGUN
from valueverse.invoicing.rules import CORRECTION
from valueverse.money import with_decimals
from valueverse.schemas.invoicing import INVOICE, INVOICE_HEADERS, LINES, POLICY, SETTLED, SUBSCRIPTION, WORKING_LINES
from valueverse.schemas.types import EXACT, INSTANT
from valueverse.subscriptions import event_field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.prior_state import IssuedInvoices
    from valueverse.subscriptions import Timeline

    _Row = Mapping[str, Any]

PERIOD_TYPES = ("start", "period")
"""Invoices whose period can be recomputed."""
RANK = 3_000_000
"""Behind everything that the invoice's own period made."""
LASTING = ("one_off", "outcome")
"""Kinds of lines that no event changes: their amounts stay as they are when their invoice is recomputed."""
OWN = "own"
_TIMELINE = ("billing.catalog.", "billing.tenant.", "billing.customer.", "billing.subscription.")
_PERIOD = ["period_from", "period_to"]
_INVOICE_ID = ["tenant", "invoice_id"]
_DIFFERENCE = [*_INVOICE_ID, "key", "dimensions"]
_SERVICE = ["service_from", "service_to"]
_COMPARED = ("net_minor", "event_count", "quantity")


def invoices_to_recompute(
    booked: pl.DataFrame, usage: pl.LazyFrame, meters: pl.DataFrame, facts: pl.DataFrame, known_at: datetime | None
) -> pl.DataFrame:
    """The finalised invoices that events received since may change; a superset, found by days and customers.

    Args:
        booked: INVOICE, invoice_id, events_known_at (the newest state of knowledge booked for it).
        usage: the usage table.
        meters: ``CatalogHistory.meters``: a meter that carries over reaches into every later period.
        facts: billing facts.
        known_at: the run's state of knowledge; None: nothing was received.
    """
    if booked.is_empty():
        return booked
    # A period that closed early and went on is one, whichever of its closing invoices bills what changed.
    reach = booked.with_columns(pl.col("period_to").max().over(BEGUN))
    changed = pl.max_horizontal("received_at", "known_until")
    since = (changed > pl.lit(booked["events_known_at"].min(), INSTANT)) & (changed <= pl.lit(known_at, INSTANT))
    carried = meters.filter("carry_over")["meter"].unique().implode()
    days = (
        usage.filter(since)
        .group_by("tenant", "customer", "event_date")
        .agg(changed.max().alias("changed"), pl.col("meter").is_in(carried).any().alias("carries"))
        .collect()
    )
    begins = utc_midnight(pl.col("event_date"))
    later = pl.col("changed") > pl.col("events_known_at")
    used = (
        reach.join(days, on=["tenant", "customer"])
        .filter(later, begins < pl.col("period_to"))
        .filter(pl.col("carries") | (begins + pl.duration(days=1) > pl.col("period_from")))
    )
    # Joined by whom they name: by tenant alone, a run would look at every invoice once per subscription.
    facts_since = _later_events(facts, facts.filter(since))
    of, to = pl.col("customer").is_not_null(), pl.col("subscription").is_not_null()
    by_customer = facts_since.filter(of).drop("subscription")
    by_subscription = facts_since.filter(~of & to).drop("customer")
    by_tenant = facts_since.filter(~of & ~to).drop("customer", "subscription")
    starts_of = (
        reach.join(by_customer, on=["tenant", "customer"]),
        reach.join(by_subscription, on=["tenant", "subscription"]),
        reach.join(by_tenant, on="tenant"),
    )
    begun = [part.filter(later, pl.col("time") <= pl.col("period_to")).select(BEGUN) for part in starts_of]
    concerned = pl.concat([used.select(BEGUN), *begun]).unique()
    return booked.join(concerned, on=BEGUN, how="semi", maintain_order="left")


def _later_events(facts: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Whom the changed facts are about: tenant, time, changed, customer, subscription.

    A subscription's events concern its customer: usage that names only the customer may move to, or from, another one.
    """
    kinds = pl.any_horizontal(pl.col("type").str.starts_with(kind) for kind in _TIMELINE)
    adjustments = changed.filter(kinds).select(
        "tenant",
        "time",
        pl.max_horizontal("received_at", "known_until").alias("changed"),
        event_field("customer").alias("customer"),
        event_field("subscription").alias("subscription"),
    )
    owners = (
        facts.filter(pl.col("type") == "billing.subscription.started")
        .select("tenant", event_field("subscription").alias("subscription"), event_field("customer").alias("owner"))
        .unique(maintain_order=True)
    )
    # Of several starts one alone counts, and which one is not judged here: what may have changed is a superset.
    return adjustments.join(owners, on=["tenant", "subscription"], how="left", maintain_order="left").with_columns(
        pl.coalesce("customer", "owner").alias("customer")
    )


def periods_with_voided_threshold(booked: pl.DataFrame, voided: pl.DataFrame) -> pl.DataFrame:
    """The closing invoices (of ``booked``) of whose period a threshold invoice was voided: its usage is due again."""
    lost = voided.filter(pl.col("invoice_type") == THRESHOLD)
    if lost.is_empty():
        return booked.clear()
    closing = booked.filter(pl.col("invoice_type") == "period")
    return closing.join(lost, on=["tenant", "subscription", "period_from"], how="semi", maintain_order="left")


def recomputed_periods(
    again: pl.DataFrame, segments: pl.DataFrame, closed_by: datetime | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The periods of finalised invoices as they are known now.

    Returns:
        the invoices to recompute (as ``closing_invoices`` gives them, with invoice_id), those of no period any
        more left out; and the invoices (INVOICE, invoice_id) that can be compared: a period that is not over, as known
        now, waits.
    """
    now = present_periods(segments, again)
    late = now.filter(pl.col("period_to") > pl.lit(closed_by, INSTANT)) if closed_by is not None else now.clear()
    waits = late.filter(pl.col("invoice_type") == "period").select(_INVOICE_ID)
    keep = again.join(waits, on=_INVOICE_ID, how="anti", maintain_order="left")
    return now.join(waits, on=_INVOICE_ID, how="anti", maintain_order="left"), keep


def with_terms_of(lines: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Add ``terms``: what held last, as known now, in each line's service.

    Args:
        lines: tenant, subscription, service_to.
        segments: billable segments with ``terms``.
    """
    held = segments.select("tenant", "subscription", "from", "terms").sort("from")
    return (
        lines.with_row_index("_place")
        .sort("service_to")
        .join_asof(
            held,
            left_on="service_to",
            right_on="from",
            by=["tenant", "subscription"],
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("_place")
        .drop("_place", "from")
    )


def differences(again: pl.DataFrame, recomputed: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """What each finalised invoice lacks, line by line, as ``adjustment`` lines without an invoice yet.

    Args:
        again: INVOICE, invoice_id and currency, decimals of the invoices compared.
        recomputed: ``net_lines``.
        booked: BOOKED_LINES.
    """
    last = [pl.col(name).last() for name in ("description", "meter")]
    sums = [pl.col(name).sum() for name in _COMPARED]
    shown = [pl.col(name).last() for name in ("terms", "tiers", "amount_precise", "rank")]
    taxes = [pl.col(name).first() for name in ("booked_tax_percent", "booked_tax_key")]
    old = booked.group_by(_DIFFERENCE, maintain_order=True).agg(*sums, *last, *taxes)
    gross = pl.col("amount_minor").sum().alias("gross_minor")
    new = recomputed.group_by(_DIFFERENCE, maintain_order=True).agg(
        *sums, *last, *shown, gross, pl.len().alias("parts")
    )
    changed = _unequal(new, old, [])
    of = again.with_columns(CLOSE.alias("corrected_close")).rename({name: f"{name}_was" for name in _PERIOD})
    served = changed.join(of, on=_INVOICE_ID)
    return _adjustments(served.join(_changed_service(recomputed, booked), on=_DIFFERENCE, maintain_order="left"))


def _unequal(new: pl.DataFrame, old: pl.DataFrame, more: list[str]) -> pl.DataFrame:
    """Rows of both, by _DIFFERENCE and ``more`` (columns of ``old`` with the suffix ``_old``), that differ; what is
    missing is 0."""
    both = new.join(old, on=[*_DIFFERENCE, *more], how="full", coalesce=True, suffix="_old").with_columns(
        pl.col(f"{name}{side}").fill_null(0) for name in _COMPARED for side in ("", "_old")
    )
    return both.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_old") for name in _COMPARED))


def _changed_service(recomputed: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """The service [service_from, service_to) of what changed of each line, by _DIFFERENCE.

    A line may stand for several services: a period's unused share of a fee and the next one's fee, or the segments of a
    period. What a service comes to as it was booked for it is none of the change.
    """
    new, old = (rows.group_by(*_DIFFERENCE, *_SERVICE).agg(pl.col(_COMPARED).sum()) for rows in (recomputed, booked))
    ends = pl.col("service_from").min(), pl.col("service_to").max()
    return _unequal(new, old, _SERVICE).group_by(_DIFFERENCE).agg(*ends)


def _adjustments(changed: pl.DataFrame) -> pl.DataFrame:
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    was = pl.col("net_minor_old").cast(EXACT) / scale
    minor = pl.col("net_minor") - pl.col("net_minor_old")
    what = pl.coalesce("description", "description_old")
    usage = pl.coalesce("meter", "meter_old").is_not_null()
    why = pl.when(usage).then(pl.lit("usage received, amended or voided since")).otherwise(pl.lit("as known now"))
    # One line alone shows what its precise amount lacks; of several, and net of coupons, only the shown ones can be
    # compared.
    alone = (pl.col("parts") == 1) & (pl.col("gross_minor") == pl.col("net_minor"))
    precise = pl.when(alone).then(pl.col("amount_precise") - was)
    return changed.select(
        *(name for name in INVOICE if name not in _PERIOD),
        "invoice_id",
        "currency",
        "terms",
        "booked_tax_percent",
        "booked_tax_key",
        pl.lit(RANK, pl.Int32).alias("rank"),
        "key",
        pl.lit("adjustment").alias("kind"),
        pl.format(
            "correction of {} for {} to {}: {}",
            what,
            pl.col("service_from").dt.strftime("%F"),
            pl.col("service_to").dt.strftime("%F"),
            why,
        ).alias("description"),
        *_SERVICE,
        pl.coalesce("meter", "meter_old").alias("meter"),
        "dimensions",
        pl.when(usage).then(pl.col("quantity") - pl.col("quantity_old")).alias("quantity"),
        pl.coalesce(precise, minor.cast(EXACT) / scale).alias("amount_precise"),
        minor.alias("amount_minor"),
        pl.when(usage).then(pl.col("event_count") - pl.col("event_count_old")).alias("event_count"),
        pl.col("tiers").fill_null(pl.lit([], LINES["tiers"])),
        pl.format(
            "{} events more than booked; {} in all less {} booked before",
            pl.col("event_count") - pl.col("event_count_old"),
            (pl.col("net_minor").cast(EXACT) / scale).cast(pl.Decimal(38, 4)).cast(pl.String),
            was.cast(pl.Decimal(38, 4)).cast(pl.String),
        ).alias("explains"),
        pl.col("invoice_id").alias("corrected_invoice_id"),
        "corrected_close",
        *(f"{name}_was" for name in _PERIOD),
    )


def assigned_to_invoices(
    adjustments: pl.DataFrame, due: pl.DataFrame, to_come: pl.DataFrame, issued: IssuedInvoices
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Adjustments (WORKING_LINES, without a policy yet) on the invoices of this run that bill them, and on invoices of
    their own; those that wait are left out.

    Args:
        adjustments: as ``differences`` gives them.
        due: this run's invoices: INVOICE, close, currency and policy.
        to_come: ``invoices_to_come`` after this run.
        issued: the finalised invoices.
    """
    keys = [name for name in INVOICE if name not in SUBSCRIPTION]
    target = due.sort("close", "invoice_type", *INVOICE).unique(
        ["tenant", "subscription", "currency"], keep="first", maintain_order=True
    )
    free = adjustments.drop(*(name for name in keys if name in adjustments.columns), strict=False)
    placed = free.join(
        target.select("tenant", "subscription", "currency", *keys),
        on=["tenant", "subscription", "currency"],
        how="left",
    )
    hosted = placed.filter(pl.col("invoice_type").is_not_null())
    left = placed.filter(pl.col("invoice_type").is_null()).join(
        to_come, on=["tenant", "subscription", "currency"], how="anti"
    )
    bearer = [*SUBSCRIPTION, "currency"]
    unhosted = left.drop(keys).with_columns(
        pl.lit(CORRECTION).alias("invoice_type"),
        pl.col("period_from_was").min().over(bearer).alias("period_from"),
        pl.col("period_to_was").max().over(bearer).alias("period_to"),
    )
    own = issued.with_revisions(unhosted, [*SUBSCRIPTION[1:], "invoice_type"])
    unset = ("amount_rounded", "problem", "place", "proposal", "is_difference", *POLICY, *SETTLED)
    on_this_run, alone = (WORKING_LINES.conform(with_decimals(rows), unset=unset) for rows in (hosted, own))
    return on_this_run, alone


def correction_headers(own: pl.DataFrame, timeline: Timeline, terms: Terms) -> pl.DataFrame:
    """Zone and policy of correction invoices: the customer's zone, the policy of the last terms corrected."""
    zones = timeline.customers.select("tenant", "customer", pl.col("timezone").alias("own_zone"))
    tenants = timeline.tenants.select("tenant", pl.col("timezone").alias("tenant_zone"))
    rules = terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices")
    headers = (
        in_order(own)
        .select(*INVOICE, "currency", "terms")
        .unique(INVOICE, keep="last", maintain_order=True)
        .join(zones, on=["tenant", "customer"], how="left", maintain_order="left")
        .join(tenants, on="tenant", how="left", maintain_order="left")
        .join(rules, on="terms", how="left", maintain_order="left")
        .join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("own_zone", "tenant_zone").alias("timezone"),
            pl.col("rounding_mode").fill_null("half_up"),
            pl.col("rounding_level").fill_null("line"),
            pl.col("zero_invoices").fill_null("issue"),
            CLOSE.alias("close"),
        )
    )
    return INVOICE_HEADERS.conform(headers)
