"""What closes in a window of dates, billed: one pure function of the log, the window and the state of knowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events.schema import INSTANT
from valueverse.invoicing.billing_context import BillingContext, billing_context, context_under
from valueverse.invoicing.corrections.differences import INVOICE_TYPE as CORRECTION
from valueverse.invoicing.corrections.differences import (
    assigned_to_invoices,
    correction_headers,
    differences,
    recomputed_periods,
    with_terms_of,
)
from valueverse.invoicing.corrections.recomputation import ClosedPeriods, net_lines
from valueverse.invoicing.lines.amount_limits import in_range, total_in_range
from valueverse.invoicing.lines.commitments import true_ups
from valueverse.invoicing.lines.consumption import OUTCOME
from valueverse.invoicing.lines.fees import advance, arrears, settlement
from valueverse.invoicing.lines.line_amounts import in_order, shown_amounts
from valueverse.invoicing.lines.line_taxes import with_taxes
from valueverse.invoicing.lines.one_offs import one_off_lines
from valueverse.invoicing.lines.outcome_lines import PROPOSALS, Outcomes
from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.lines.thresholds import PriorThresholdInvoices, less_threshold_amounts, threshold_lines
from valueverse.invoicing.lines.usage_lines import usage_lines
from valueverse.invoicing.periods.billing_periods import CLOSE, INVOICE, advance_stretches, stretches
from valueverse.invoicing.periods.due_invoices import SHARE, closed_again, closed_periods, invoices_due, shares
from valueverse.invoicing.rendering.invoice_documents import invoices_of
from valueverse.invoicing.schema import LINES, with_decimals
from valueverse.invoicing.settlement.adjustment_events import read_adjustment_events
from valueverse.invoicing.settlement.consumed_credits import ConsumedCredits
from valueverse.invoicing.settlement.credit_notes import cap_by_credit_notes
from valueverse.invoicing.settlement.settlement import settle
from valueverse.invoicing.settlement.threshold_totals import threshold_totals
from valueverse.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from valueverse.catalog.document import Catalog
    from valueverse.catalog.history import CatalogHistory
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.settlement.adjustment_events import AdjustmentEvents
    from valueverse.subscriptions.timeline import Timeline
    from valueverse.subscriptions.zones import Day


@dataclass(frozen=True)
class Billed:
    """What closes in a window.

    Attributes:
        invoices: one row per invoice: INVOICE columns, totals in minor units, dates, finalise_after; discounts, taxes
            and credits as lists.
        lines: LINES with decimals, the rounding policy, discount_minor and tax_minor.
        problems: lines that have no amount (tenant, customer, subscription, key, problem): their invoices are held
            back.
        rejected: billing events about coupons, wallets and credit notes that could not be applied.
    """

    invoices: pl.DataFrame
    lines: pl.DataFrame
    problems: pl.DataFrame
    rejected: pl.DataFrame


@dataclass(frozen=True)
class PriorState:
    """What stands already when a run begins: it is never billed again.

    Attributes:
        invoices: INVOICE columns of the finalised invoices, voided ones left out.
        voided: INVOICE columns of the voided ones; those of ``again`` among them are due nothing any more.
        one_offs: tenant, key of the one-off lines on ``invoices``.
        used: what they used up of coupons, credit notes and wallets.
        again: INVOICE, invoice_id, currency and events_known_at (newest state of knowledge booked; null: voided), of
            those that later events may have changed, and ``rerate_catalog_hash``: of their re-rating.
        lines: what is booked for ``again`` (differences.BOOKED_LINES).
        discounts: what coupons took of ``again`` (schema.TAKEN).
        early: what threshold invoices bore (thresholds.THRESHOLD_LINES).
        early_coupons: what coupons took on them (thresholds.THRESHOLD_COUPONS).
        catalogs: those of ``rerate_catalog_hash``, by hash.
    """

    invoices: pl.DataFrame
    voided: pl.DataFrame
    one_offs: pl.DataFrame
    used: ConsumedCredits
    again: pl.DataFrame
    lines: pl.DataFrame
    discounts: pl.DataFrame
    early: pl.DataFrame
    early_coupons: pl.DataFrame
    catalogs: Mapping[str, Catalog]


def bill(
    timeline: Timeline,
    history: CatalogHistory,
    usage: pl.LazyFrame,
    window: tuple[Day, Day],
    *,
    known_at: KnownAt | None,
    closed_by: datetime | None = None,
    booked: PriorState | None = None,
    outcomes: pl.DataFrame | None = None,
) -> Billed:
    """Bill every period that ends in (from, to] and every subscription that starts in [from, to), tenant-local days.

    Args:
        timeline: subscriptions as known at ``known_at``.
        history: their catalogs.
        usage: the usage table.
        window: from, to.
        known_at: state of knowledge; None: all that is recorded, and documents say the close of their period.
        closed_by: leave out what closes later than this instant (the run's present).
        booked: what stands already; None: nothing does, and credit notes name invoices by the numbers these would get.
        outcomes: approved proposals (outcome_lines.PROPOSALS); None: there are none.
    """
    context = billing_context(timeline, history, usage, known_at)
    segments, terms, consumption = context.segments, context.terms, context.consumption
    stands = None if booked is None else (booked.invoices, booked.voided)
    due = invoices_due(segments, timeline.tenants, window, closed_by, stands)
    adjustments = read_adjustment_events(timeline, history)
    lines, zones, problems = period_lines(due, context)
    reached, early = threshold_lines(
        segments, terms, consumption, timeline.tenants, window, closed_by=closed_by, standing=_standing(booked)
    )
    lines = less_threshold_amounts(lines, early)
    proposed = Outcomes.read(PROPOSALS.to_frame() if outcomes is None else outcomes, segments, terms)
    realised = proposed.placed(zones, None if booked is None else booked.invoices, closed_by)
    for more in (reached, _shown(realised, terms)):
        if not more.is_empty():
            lines = pl.concat([lines, more], how="diagonal_relaxed")
            zones = pl.concat([zones, _headers(more, segments)], how="diagonal_relaxed").unique(
                INVOICE, keep="first", maintain_order=True
            )
    one_offs = (
        adjustments.one_offs
        if booked is None
        else adjustments.one_offs.join(booked.one_offs, on=["tenant", "key"], how="anti")
    )
    if closed_by is not None:
        one_offs = one_offs.filter(pl.col("time") <= pl.lit(closed_by).cast(INSTANT))
    # A start without fees in advance makes no invoice, so nothing can stand on it; a period closes without lines too.
    with_lines = zones.join(lines.select(INVOICE).unique(), on=INVOICE, how="semi", maintain_order="left")
    made = pl.concat([with_lines, zones.filter(pl.col("invoice_type") == "period")]).unique(
        INVOICE, maintain_order=True
    )
    # A threshold invoice bears a part of what its period comes to, and a coupon's part of it, alone.
    own = one_off_lines(one_offs, made.filter(pl.col("invoice_type") != THRESHOLD), timeline, history)
    if not own.is_empty():
        lines = pl.concat([lines, own.drop("timezone")], how="diagonal_relaxed")
        zones = (
            pl.concat([zones, own], how="diagonal_relaxed")
            .select(zones.columns)
            .unique(INVOICE, keep="first", maintain_order=True)
        )
    if booked is not None and not booked.again.is_empty():
        adjusted, own_zones = _corrected(booked, context, adjustments, made, closed_by)
        lines = pl.concat([lines, adjusted], how="diagonal_relaxed")
        zones = pl.concat([zones, own_zones], how="diagonal_relaxed").select(zones.columns)
    used = ConsumedCredits.nothing() if booked is None else booked.used
    taxed = total_in_range(cap_by_credit_notes(_taxed(lines, context), adjustments.notes, used.numbers, used.corrected))
    unknown = taxed.filter(pl.col("tax_problem").is_not_null())
    shown = in_order(taxed.join(unknown.select(INVOICE).unique(), on=INVOICE, how="anti").drop("tax_problem"))
    bare = made.join(lines.select(INVOICE).unique(), on=INVOICE, how="anti", maintain_order="left")
    headers = invoices_of(shown, timeline.tenants, zones.select(*INVOICE, "timezone"), known_at, bare)
    bore = {} if booked is None else threshold_totals(booked.early, booked.early_coupons, headers)
    closed = set() if booked is None else closed_periods(booked.invoices)
    settled = settle(headers, shown, adjustments, used, numbered=booked is not None, earlier=bore, closed=closed)
    problems = pl.concat([problems, unknown.select(*INVOICE, "key", pl.col("tax_problem").alias("problem"))])
    rejected = pl.concat([adjustments.rejected, settled.rejected, proposed.refused])
    return Billed(settled.invoices, settled.lines, problems, rejected)


def _standing(booked: PriorState | None) -> PriorThresholdInvoices:
    if booked is None:
        return PriorThresholdInvoices.nothing()
    closed = booked.invoices.filter(pl.col("invoice_type") == "period")
    return PriorThresholdInvoices(booked.early, closed, booked.voided)


def _headers(reached: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Headers of invoices beside the closing ones."""
    zones = segments.select("tenant", "subscription", "timezone").unique(["tenant", "subscription"], keep="last")
    policy = ("currency", "terms", "catalog_hash", "rounding_mode", "rounding_level", "zero_invoices")
    return (
        in_order(reached)
        .select(*INVOICE, *policy)
        .unique(INVOICE, keep="last", maintain_order=True)
        .join(zones, on=["tenant", "subscription"], how="left")
        .with_columns(CLOSE.alias("close"))
    )


def _shown(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Lines of outcomes with shown amounts and catalog_hash."""
    if lines.is_empty():
        return lines
    unrounded = lines.with_columns(pl.lit(None, EXACT).alias("amount_rounded"))
    return shown_amounts(unrounded, terms).join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left")


def period_lines(due: pl.DataFrame, context: BillingContext) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Fees, charges and commitments of these invoices, shown amounts included.

    Args:
        due: as ``invoices_due`` gives them.
        ground: of the run.

    Returns:
        lines as ``shown_amounts`` gives them; the invoices with close, currency, timezone and policy (also those
        without lines); and the problems that hold invoices back, whose lines are left out.
    """
    terms = context.terms
    every = stretches(context.segments, due)
    closed = every.join(due.filter("bears_period"), on=INVOICE, how="semi", maintain_order="left")
    starting = advance_stretches(context.segments, due.filter("bears_advance"))
    lines = pl.concat(
        [
            pl.DataFrame(schema=LINES).drop("amount_minor"),
            arrears(closed, terms),
            advance(starting, terms),
            settlement(closed, terms),
            usage_lines(closed, context.consumption, terms),
        ],
        how="diagonal",
    )
    good, problems = _priced(lines, terms)
    shown = shown_amounts(good, terms).join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left")
    committed = true_ups(shown, closed.join(problems, on=INVOICE, how="anti"), context.segments, terms)
    headers = (
        pl.concat([every, starting])
        .select(*INVOICE, "timezone", "currency", "terms")
        .unique(INVOICE, keep="first", maintain_order=True)
        .join(problems, on=INVOICE, how="anti", maintain_order="left")
        .join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left", maintain_order="left")
        .join(
            terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices"),
            on="terms",
            how="left",
            maintain_order="left",
        )
        .with_columns(CLOSE.alias("close"))
    )
    return pl.concat([shown, committed], how="diagonal"), headers, problems


def _priced(lines: pl.DataFrame, terms: Terms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of invoices that can be billed whole, and what keeps the others back."""
    mixed = pl.col("currency").n_unique().over(*INVOICE) > 1
    held = terms.policies.select("terms", "hold_reason")
    marked = (
        in_range(lines)
        .join(held, on="terms", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("problem", "hold_reason", pl.when(mixed).then(pl.lit("mixed_currencies"))).alias("problem")
        )
    )
    problems = marked.filter(pl.col("problem").is_not_null()).select(*INVOICE, "key", "problem")
    return marked.join(problems.select(INVOICE).unique(), on=INVOICE, how="anti", maintain_order="left"), problems


def _taxed(lines: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    named = lines.join(context.terms.sets.select("terms", "plan"), on="terms", how="left", maintain_order="left")
    dated = named.with_columns(CLOSE.alias("close"))
    return with_taxes(dated, context.terms.taxes, context.timeline.tax_statuses, context.history.catalogs).drop("close")


def _corrected(
    booked: PriorState,
    context: BillingContext,
    adjustments: AdjustmentEvents,
    due: pl.DataFrame,
    closed_by: datetime | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Adjustment lines on the invoices of this run that bear them, and the headers of those that are made for them."""
    found = found_differences(booked, context, adjustments, closed_by)
    running = _running(context.segments, closed_by)
    before = booked.invoices.filter(pl.col("invoice_type") == CORRECTION)
    borne = assigned_to_invoices(found, due, running, before)
    policy = due.select(*INVOICE, "rounding_mode", "rounding_level", "zero_invoices", "catalog_hash")
    hosted = borne.filter(~pl.col("is_own")).join(policy, on=INVOICE, how="left")
    own = borne.filter("is_own")
    headers = correction_headers(own, context.timeline, context.terms)
    alone = own.join(headers.select(policy.columns), on=INVOICE, how="left")
    lines = with_decimals(pl.concat([hosted, alone], how="diagonal")).drop("is_own", "invoice_id")
    return lines, headers


def _running(segments: pl.DataFrame, closed_by: datetime | None) -> pl.DataFrame:
    """tenant, subscription, currency in which subscriptions will be invoiced again: one that has moved on to a plan in
    another currency never is in its old one. A paused one goes on with its last."""
    now = pl.lit(closed_by, INSTANT)
    alive = segments.filter(pl.col("subscription_end").is_null() | (pl.col("subscription_end") > now)).sort("from")
    ahead = pl.col("to").is_null() | (pl.col("to") > now)
    last = pl.struct("tenant", "subscription").is_last_distinct()
    return alive.filter(ahead | last).select("tenant", "subscription", "currency").unique()


def found_differences(
    booked: PriorState, context: BillingContext, adjustments: AdjustmentEvents, closed_by: datetime | None
) -> pl.DataFrame:
    """What ``booked.again`` lacks as known now, as adjustment lines (``differences.differences``).

    Invoices that were re-rated under another catalog (``rerate_catalog_hash``) are worked out under that one.
    """
    parts = []
    for (under,), again in booked.again.group_by("rerate_catalog_hash", maintain_order=True):
        if under is None:
            parts.append(_compared(booked, again, context, adjustments, closed_by))
        else:
            other = context_under(context, str(under), booked.catalogs[str(under)], again)
            found = _compared(booked, again, other, adjustments, closed_by)
            # The terms of the other catalog are numbered by themselves.
            named = with_terms_of(found.rename({"terms": "other"}), context.segments)
            own = pl.when(pl.col("other").is_not_null()).then("terms")
            parts.append(named.with_columns(own).select(found.columns))
    return pl.concat(parts)


def _compared(
    booked: PriorState,
    again: pl.DataFrame,
    context: BillingContext,
    adjustments: AdjustmentEvents,
    closed_by: datetime | None,
) -> pl.DataFrame:
    """What these invoices lack on this ground."""
    marks = again.select("tenant", "invoice_id", "events_known_at").drop_nulls()
    known = {(tenant, invoice): moment for tenant, invoice, moment in marks.iter_rows()}
    again = again.drop("events_known_at")
    standing = again.join(booked.voided, on=INVOICE, how="anti", maintain_order="left")
    anew, present = recomputed_periods(standing, context.segments, closed_by)
    compared = pl.concat([present, again.join(booked.voided, on=INVOICE, how="semi", maintain_order="left")])
    of = ["tenant", "invoice_id"]
    closed_at = standing.select(*of, pl.col("period_to").alias("closed_at"))
    named, unclear = _worked_out(anew.join(closed_at, on=of, how="left", maintain_order="left"), booked, context)
    compared = with_decimals(compared).join(unclear, on=of, how="anti")
    mine = booked.lines.join(compared.select(*of, "subscription", "decimals"), on=of, maintain_order="left")
    plans = context.terms.sets.select("terms", "plan")
    of_outcomes = pl.when(pl.col("kind") == OUTCOME).then("terms")
    timed = with_terms_of(mine, context.segments).with_columns(of_outcomes)
    kept = timed.join(plans, on="terms", how="left", maintain_order="left")
    bore = threshold_totals(booked.early, booked.early_coupons, anew.filter(pl.col("invoice_type") == "period"))
    closings = ClosedPeriods(closed_again(booked.invoices), booked.used.coupons, bore)
    net = net_lines(named, kept, booked.discounts, adjustments.coupons, known, closings)
    return differences(compared, net.join(compared, on=of, how="semi", maintain_order="left"), kept)


def _worked_out(anew: pl.DataFrame, booked: PriorState, context: BillingContext) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of these periods with invoice_id and plan; and tenant, invoice_id of those that cannot be priced.

    Args:
        anew: the periods as known now, with invoice_id, and ``closed_at``: where the invoice's period ended.
        booked: what stands.
        ground: of the run.
    """
    shared = anew.join(shares(booked.invoices), on=["tenant", "invoice_id"], how="left", maintain_order="left")
    due = shared.with_columns(pl.col(name).fill_null(value=True) for name in SHARE).with_columns(
        # A period that goes on closes once more, and what follows is billed there.
        pl.col("bears_advance") & ((pl.col("invoice_type") != "period") | (pl.col("period_to") <= pl.col("closed_at")))
    )
    lines, unclear = [], []
    for rows in due.partition_by(SHARE, maintain_order=True) or [due]:
        # Closing invoices of one period are the same invoice by now: each kind of share is worked out by itself.
        ids = rows.select(*INVOICE, "invoice_id")
        shown, _, problems = period_lines(rows.drop("invoice_id", "closed_at"), context)
        early = booked.early if rows["bears_period"].all() else booked.early.clear()
        lines.append(less_threshold_amounts(shown, early).join(ids, on=INVOICE))
        unclear.append(problems.join(ids, on=INVOICE).select("tenant", "invoice_id").unique())
    plans = context.terms.sets.select("terms", "plan")
    return in_order(pl.concat(lines).join(plans, on="terms", how="left")), pl.concat(unclear)
