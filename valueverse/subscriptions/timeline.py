"""Billing events -> timeline: stretches of time in which one subscription is on one version of one plan.

What an event alone shows was judged at ingestion; what needs state (a subscription that starts twice, an unknown
plan) is
decided here, afresh on each run, and listed in ``rejected``. Changes are applied in rounds: the first change of every
subscription at once, then the second, so the work grows with the busiest subscription and not with their number.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.subscriptions import SEGMENTS, TAX_STATUSES, ZONE_CHANGES
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions.event_fields import (
    ADJUSTMENT_TYPES,
    EVENT_ORDER,
    customers_of,
    event_field,
    known_events,
    number_field,
    rejected_events,
    tax_statuses,
    tenants_of,
)
from valueverse.subscriptions.periods import overlapping_periods
from valueverse.subscriptions.starts import started_subscriptions, uncounted, unknown_fee, with_plan
from valueverse.subscriptions.zone_changes import with_zone_changes, zone_statements

if TYPE_CHECKING:
    from datetime import datetime


SUBSCRIPTION_STARTED = "billing.subscription.started"
CUSTOMER_TYPES = ("billing.customer.created", "billing.customer.updated")
"""Events that make a customer known."""
_KEY = ["tenant", "subscription"]
_SCHEDULE = ("every", "unit", "align")
_PLAN_TERMS = ("plan_version", "catalog_hash", "currency", *_SCHEDULE, "counted_fees")
"""What the catalog in force says of the plan that an event names."""
_STATE = ("plan", *_PLAN_TERMS, "overrides", "quantities")


@dataclass(frozen=True)
class Timeline:
    """What the billing events come to.

    Attributes:
        tenants: tenant, name, timezone, currency, grace_seconds, country, tax_id, address, invoicing
            (texts; TENANT_PROFILES).
        customers: tenant, customer, name, email, currency, timezone, country, tax_rates, metadata (texts).
        segments: SEGMENTS, in order of tenant, subscription, from.
        rejected: billing events that could not be applied, with the reason.
        adjustment_events: the billing events that count of ADJUSTMENT_TYPES (coupons, wallets, one-offs, payments ...),
            in order.
        tax_statuses: TAX_STATUSES.
    """

    tenants: pl.DataFrame
    customers: pl.DataFrame
    segments: pl.DataFrame
    rejected: pl.DataFrame
    adjustment_events: pl.DataFrame
    tax_statuses: pl.DataFrame = dataclasses.field(default_factory=TAX_STATUSES.to_frame)


def build_timeline(
    billing_facts: pl.DataFrame, plans: pl.DataFrame, known_at: datetime | None, *, holds: bool = True
) -> Timeline:
    """The timeline as known at an instant (None: as known now).

    Args:
        billing_facts: tenant, type, time, received_at, source, id, known_until?, data.
        plans: ``CatalogHistory.plans``.
        known_at: see above.
        holds: leave out subscriptions of customers that no event has created, and list them in ``rejected``; False:
            for a log that may be a part of one.
    """
    facts, held = known_events(billing_facts, known_at), REJECTED_EVENTS.to_frame()
    if holds:
        facts, held = _without_strangers(facts)
    tenants, customers = tenants_of(facts, plans), customers_of(facts)
    statements = zone_statements(facts, plans)
    started, rejected = started_subscriptions(facts, plans, statements)
    started, more = _ended(facts, started)
    active, pauses_rejected = _active(facts, started)
    waiting = _waiting(facts)
    moves = ZONE_CHANGES.to_frame()
    # A change at a period's end waits for the end that the zone in force draws, and a zone comes in at a period's end:
    # what one round moves may move the next. Time runs one way, so that each round settles one more move for good.
    for _ in range(statements.height + 2):
        states, changes_rejected = _changed(facts, plans, started, moves)
        segments = with_zone_changes(_segments(started, states, active), started, statements)
        moved = _moves(segments.join(waiting, on=_KEY, how="semi"))
        if moved.equals(moves):
            break
        moves = moved
    segments = SEGMENTS.conform(segments)
    everything = pl.concat([held, rejected, more, changes_rejected, pauses_rejected])
    adjustments = facts.filter(pl.col("type").is_in(ADJUSTMENT_TYPES))
    return Timeline(
        tenants, customers, segments, everything.unique(maintain_order=True), adjustments, tax_statuses(facts)
    )


def starts_of_unknown_customers(facts: pl.DataFrame) -> pl.DataFrame:
    """Starts of subscriptions whose customer no event has created, with subscription and customer.

    When the customer comes into being does not matter: an event that names it later releases earlier periods too.

    Args:
        facts: billing events known.
    """
    named = facts.filter(pl.col("type").is_in(CUSTOMER_TYPES)).select("tenant", event_field("customer")).unique()
    starts = facts.filter(pl.col("type") == SUBSCRIPTION_STARTED).with_columns(
        event_field("subscription"), event_field("customer")
    )
    return starts.join(named, on=["tenant", "customer"], how="anti", maintain_order="left")


def _without_strangers(facts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Facts without these starts, and all other events of their subscriptions; and the starts as REJECTED_EVENTS."""
    held = starts_of_unknown_customers(facts)
    if held.is_empty():
        return facts, REJECTED_EVENTS.to_frame()
    event = ["tenant", "source", "id"]
    left = facts.join(held, on=event, how="anti", maintain_order="left")
    started = left.filter(pl.col("type") == SUBSCRIPTION_STARTED).select("tenant", event_field("subscription"))
    waits = held.select(_KEY).unique().join(started, on=_KEY, how="anti")
    about = left.filter(pl.col("type").str.starts_with("billing.subscription.")).with_columns(
        event_field("subscription")
    )
    waiting = about.join(waits, on=_KEY, how="semi").select(event)
    message = pl.format(
        "the subscription '{}' is held: no event has created its customer '{}'; send billing.customer.created, or void "
        "this event if the key is wrong",
        "subscription",
        "customer",
    )
    accepted = left.join(waiting, on=event, how="anti", maintain_order="left")
    return accepted, rejected_events(held, "unknown_customer", message)


def _about_known(rows: pl.DataFrame, started: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows about subscriptions that started at or before them, with their start; the others as rejections."""
    joined = rows.join(started.select(*_KEY, "subscription_start"), on=_KEY, how="left")
    early = pl.col("subscription_start").is_null() | (pl.col("time") < pl.col("subscription_start"))
    message = pl.concat_str(pl.lit("no subscription '"), "subscription", pl.lit("' has started by then"))
    return joined.filter(~early), rejected_events(joined.filter(early), "unknown_subscription", message)


def _ended(facts: pl.DataFrame, started: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = facts.filter(pl.col("type") == "billing.subscription.ended").with_columns(event_field("subscription"))
    about, rejected = _about_known(rows, started)
    ordered = about.sort(*EVENT_ORDER).with_columns(pl.struct(_KEY).is_first_distinct().alias("is_first"))
    again = rejected_events(
        ordered.filter(~pl.col("is_first")),
        "already_ended",
        pl.concat_str(pl.lit("the subscription '"), "subscription", pl.lit("' has ended before")),
    )
    ends = ordered.filter(pl.col("is_first")).select(*_KEY, pl.col("time").alias("ended_at"))
    closed = started.join(ends, on=_KEY, how="left", maintain_order="left").with_columns(
        pl.min_horizontal("ended_at", "planned_end").alias("subscription_end")
    )
    return closed, pl.concat([rejected, again])


def _waiting(facts: pl.DataFrame) -> pl.DataFrame:
    """Subscriptions with a change that waits for the end of a period."""
    changed = facts.filter(pl.col("type") == "billing.subscription.changed")
    return (
        changed.filter(event_field("effective") == "period_end").select("tenant", event_field("subscription")).unique()
    )


def _moves(segments: pl.DataFrame) -> pl.DataFrame:
    return (
        segments.drop_nulls("timezone_effective_from")
        .select(ZONE_CHANGES.names())
        .cast(ZONE_CHANGES)
        .unique()
        .sort(*_KEY, "timezone_effective_from")
    )


def _in_zones(rows: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """Rows of changes, ``timezone`` the one in force at their time, with timezone_effective_from and zone_day."""
    moved = moves.rename({"timezone": "moved_to"}).sort("timezone_effective_from")
    placed = rows.sort("time").join_asof(
        moved, left_on="time", right_on="timezone_effective_from", by=_KEY, coalesce=False, check_sortedness=False
    )  # fmt: skip
    return placed.with_columns(pl.coalesce("moved_to", "timezone").alias("timezone"))


def _takes_effect(rows: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """Add ``effective_from`` to changes joined with the state they change: now, or the end of the running period."""
    at_end = rows.filter(pl.col("effective") == "period_end")
    if at_end.is_empty():
        return rows.with_columns(pl.col("time").alias("effective_from"))
    # One after the other for the same end of a period: the plan that comes then must not decide when it comes.
    schedule = (
        _in_zones(at_end, moves)
        .with_row_index("key")
        .with_columns(
            pl.col("time").alias("window_from"),
            (pl.col("time") + pl.duration(microseconds=1)).alias("window_to"),
            pl.lit(None, INSTANT).alias("start"),
            pl.lit(None, INSTANT).alias("end"),
        )
    )
    ends = overlapping_periods(schedule).select("key", "full_to")
    first_end = pl.coalesce("planned_for", "full_to").alias("effective_from")
    later = schedule.join(ends, on="key").with_columns(first_end).select(*rows.columns, "effective_from")
    now = rows.filter(pl.col("effective") != "period_end").with_columns(pl.col("time").alias("effective_from"))
    return pl.concat([now, later])


def _changed(
    facts: pl.DataFrame, plans: pl.DataFrame, started: pl.DataFrame, moves: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """States of every subscription: the started one, then one per change that takes effect."""
    start = pl.col("subscription_start").alias("from")
    state = started.select(*_KEY, "timezone", "anchor", "subscription_end", start, *_STATE)
    states, refused = [state], []
    rows = facts.filter(pl.col("type") == "billing.subscription.changed").with_columns(
        event_field("subscription"), event_field("plan").alias("new_plan"),
        event_field("overrides").alias("new_overrides"),
        event_field("quantities").alias("new_quantities"), event_field("effective").fill_null("now").alias("effective"),
        number_field("plan_version").cast(pl.Int64).alias("wanted_version"),
        event_field("plan").is_not_null().alias("names_plan"),
    )  # fmt: skip
    changes, rejected = _about_known(rows, started)
    refused.append(rejected)
    changes = changes.sort(*EVENT_ORDER).with_columns(pl.int_range(pl.len()).over(_KEY).alias("round"))
    planned = state.clear()
    for nth in sorted(changes["round"].unique()):
        turn = changes.filter(pl.col("round") == nth)
        reached = planned.join(turn.select(*_KEY, "time"), on=_KEY).filter(pl.col("from") <= pl.col("time"))
        states.append(reached.select(state.columns))
        state, planned = _replaced(state, states[-1]), planned.join(reached, on=_KEY, how="anti")
        applied, rejected = _applied(turn.join(_changed_from(turn, state, planned), on=_KEY), plans, moves)
        refused.append(rejected)
        later = applied.filter(pl.col("effective") == "period_end").select(state.columns)
        now = applied.filter(pl.col("effective") != "period_end")
        states.append(now.select(state.columns))
        state, planned = _replaced(state, states[-1]), _replaced(_still_planned(planned, now), later)
    return pl.concat([*states, planned]), pl.concat(refused)


def _still_planned(planned: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """What stays planned after changes that take effect now: the parts that these do not state (decision 1697).

    A version and overrides are of their plan: stated without one, they say nothing of another plan that is planned.

    Args:
        planned: states that wait for the end of the running period.
        now: of ``_applied``: the states from now on, with what was stated.
    """
    both = planned.join(now, on=_KEY, suffix="_now", maintain_order="left")
    of_it = pl.col("names_plan") | (pl.col("plan") == pl.col("plan_now"))
    terms = of_it & ~pl.col("same")
    stated = (
        (terms, ("plan", *_PLAN_TERMS)),
        (of_it & (pl.col("new_overrides").is_not_null() | ~pl.col("same")), ("overrides",)),
        (pl.col("new_quantities").is_not_null(), ("quantities",)),
    )
    restated = both.with_columns(
        *(pl.when(says).then(f"{name}_now").otherwise(name).alias(name) for says, names in stated for name in names),
        # The running period ends where a plan with other periods takes over, as for a zone that waits for its end.
        pl.when("reschedules").then("from_now").otherwise("from").alias("from"),
    ).select(planned.columns)
    left = restated.join(now, on=[*_KEY, *_STATE], how="anti", nulls_equal=True)
    return pl.concat([planned.join(now, on=_KEY, how="anti"), left])


def _replaced(state: pl.DataFrame, by: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([state.join(by, on=_KEY, how="anti"), by])


def _changed_from(turn: pl.DataFrame, state: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """The state that each change starts from: for the period's end, what is planned for it already, if anything is."""
    at_end = turn.filter(pl.col("effective") == "period_end").select(_KEY)
    onto = planned.join(at_end, on=_KEY, how="semi").with_columns(pl.col("from").alias("planned_for"))
    now = state.join(onto, on=_KEY, how="anti").with_columns(pl.lit(None, INSTANT).alias("planned_for"))
    return pl.concat([now, onto])


def _applied(turn: pl.DataFrame, plans: pl.DataFrame, moves: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The states that one change each leads to, and the changes that could not be applied."""
    timed = _takes_effect(turn, moves)
    same = pl.col("new_plan").is_null() & pl.col("wanted_version").is_null()
    target = timed.with_columns(same.alias("same"), pl.coalesce("new_plan", "plan").alias("new_plan"))
    wanted = target.select("tenant", pl.col("new_plan").alias("plan"), "wanted_version", "time")
    found = with_plan(wanted, plans)
    moved = target.with_columns(
        *(pl.when("same").then(pl.col(name)).otherwise(found[name]).alias(name) for name in _PLAN_TERMS),
        (~pl.col("same") & pl.any_horizontal(pl.col(name) != found[name] for name in _SCHEDULE)).alias("reschedules"),
        pl.when("same").then(pl.coalesce("new_overrides", "overrides")).otherwise("new_overrides").alias("overrides"),
        pl.coalesce("new_quantities", "quantities").alias("quantities"),
    ).with_columns(uncounted(pl.col("new_quantities")).alias("uncounted"))
    unknown, counted = pl.col("catalog_hash").is_null(), pl.col("uncounted").is_null()
    over = (
        ~unknown & pl.col("subscription_end").is_not_null() & (pl.col("effective_from") >= pl.col("subscription_end"))
    )
    rejected = pl.concat(
        [
            rejected_events(
                moved.filter(unknown),
                "unknown_plan",
                pl.concat_str(pl.lit("no catalog in force then has the plan '"), "new_plan", pl.lit("'")),
            ),
            rejected_events(
                moved.filter(over),
                "already_ended",
                pl.concat_str(pl.lit("the subscription '"), "subscription", pl.lit("' ends before this change")),
            ),
            unknown_fee(moved.filter(~unknown, ~over, ~counted), "new_plan", "uncounted"),
        ]
    )
    accepted = moved.filter(~unknown, ~over, counted).with_columns(
        pl.col("new_plan").alias("plan"), pl.col("effective_from").alias("from")
    )
    return accepted, rejected


def _active(facts: pl.DataFrame, started: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Stretches in which each subscription is not paused: subscription, active_from, active_to?."""
    rows = facts.filter(
        pl.col("type").is_in(["billing.subscription.paused", "billing.subscription.resumed"])
    ).with_columns(event_field("subscription"), pl.col("type").str.ends_with("paused").alias("pauses"))
    about, rejected = _about_known(rows, started)
    ordered = about.sort(*EVENT_ORDER).with_columns(
        # Before the first pause a subscription runs, as if it had been resumed.
        pl.col("pauses").shift(1, fill_value=False).over(_KEY).alias("paused_before")
    )
    idle = ordered.filter(pl.col("pauses") == pl.col("paused_before"))
    name = pl.concat_str(pl.lit("the subscription '"), "subscription", pl.lit("' "))
    again = pl.concat(
        [
            rejected_events(idle.filter("pauses"), "already_paused", name + "is paused already"),
            rejected_events(
                idle.filter(~pl.col("pauses")),
                "not_paused",
                name + "is not paused: there is nothing to resume",
            ),
        ]
    )
    turns = ordered.filter(pl.col("pauses") != pl.col("paused_before"))
    begins = pl.concat(
        [
            started.select(*_KEY, pl.col("subscription_start").alias("active_from")),
            turns.filter(~pl.col("pauses")).select(*_KEY, pl.col("time").alias("active_from")),
        ]
    ).sort(*_KEY, "active_from")
    pauses = turns.filter("pauses").select(*_KEY, pl.col("time").alias("active_to")).sort(*_KEY, "active_to")
    numbered = begins.with_columns(pl.int_range(pl.len()).over(_KEY).alias("turn"))
    stopped = pauses.with_columns(pl.int_range(pl.len()).over(_KEY).alias("turn"))
    return numbered.join(stopped, on=[*_KEY, "turn"], how="left").drop("turn"), pl.concat([rejected, again])


def _segments(started: pl.DataFrame, states: pl.DataFrame, active: pl.DataFrame) -> pl.DataFrame:
    """Plan states cut by pauses and by the subscription's end; a state that a later one replaced at once is dropped."""
    ordered = states.with_row_index("_applied").sort(*_KEY, "from", "_applied")
    until = ordered.with_columns(pl.col("from").shift(-1).over(_KEY).alias("next"))
    life = started.select(*_KEY, "customer", "trial_until", "subscription_start", "planned_end")
    return (
        until.join(life, on=_KEY)
        .join(active, on=_KEY)
        .with_columns(
            pl.max_horizontal("from", "active_from").alias("from"),
            pl.min_horizontal("next", "active_to", "subscription_end").alias("to"),
        )
        .filter(pl.col("to").is_null() | (pl.col("from") < pl.col("to")))
        .sort(*_KEY, "from")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(_KEY).alias("segment"))
        .select(name for name in SEGMENTS.names() if name not in ("timezone_effective_from", "zone_day"))
    )
