"""States of subscriptions by time, read from their billing events: plans, pauses, ends and time zones."""

from __future__ import annotations

import polars as pl

_PREFIX = "billing.subscription."
_STARTED, _CHANGED = f"{_PREFIX}started", f"{_PREFIX}changed"
_ZONED = ("billing.tenant.", "billing.catalog.published", "billing.customer.")
_INSTANT = pl.Datetime("us", "UTC")
STATEMENTS = pl.Schema(
    {
        "tenant": pl.String(),
        "subscription": pl.String(),
        "place": pl.Int64(),
        "starts": pl.Boolean(),
        "waits": pl.Boolean(),
        "stated_at": _INSTANT,
        "received_at": _INSTANT,
        "known_until": _INSTANT,
        "plan": pl.String(),
        "version": pl.Int32(),
        "overrides": pl.String(),
        "quantities": pl.String(),
    }
)
"""One row per start and change, ``place`` counting in the order in which they apply. Null: not stated; ``overrides``,
``quantities``: JSON text; ``waits``: it takes effect at the end of the running period."""
MOMENTS = pl.Schema(
    {
        "tenant": pl.String(),
        "subscription": pl.String(),
        "kind": pl.String(),
        "stated_at": _INSTANT,
        "received_at": _INSTANT,
        "known_until": _INSTANT,
    }
)
"""One row per start, change, pause, resumption and end; ``kind`` is the last part of the event's type."""
MOVED = pl.Schema({"tenant": pl.String(), "customer": pl.String()})
"""Customers of whom two time zones were stated; ``customer`` null: all of the tenant."""
RECEIVED_LATE = pl.Schema(
    {
        "tenant": pl.String(),
        "customer": pl.String(),
        "subscription": pl.String(),
        "of_catalog": _INSTANT,
        "known_since": _INSTANT,
    }
)
"""What decides when invoices close, and since when it was known: whom it names (null: all of the tenant's), and of a
catalog the instant from which it holds."""
BURDENS = pl.Schema({"tenant": pl.String(), "customer": pl.String(), "kind": pl.String()})
"""Customers whose invoices billing may hold back for more than their plan says (kind ``held``: tax rates of their own,
large one-offs), and those with coupons (``discounted``)."""
_LARGE = 1_000_000_000
_OWNER = ["tenant", "subscription"]


def counted(facts: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Facts (tenant, source, id ...) without those that billing could not apply (tenant, source, event_id)."""
    return facts.join(rejected.rename({"event_id": "id"}), on=["tenant", "source", "id"], how="anti")


def statements_of(facts: pl.DataFrame) -> pl.DataFrame:
    """STATEMENTS from billing facts (tenant, type, time, received_at, source, id, known_until, data as JSON text).

    A start without overrides states that there are none: ''.
    """
    stated = facts.filter(pl.col("type").is_in([_STARTED, _CHANGED])).with_columns(
        pl.col("data").str.json_path_match(f"$.{name}").alias(name)
        for name in ("subscription", "plan", "plan_version", "overrides", "quantities", "effective")
    )
    starts = pl.col("type") == _STARTED
    return (
        stated.sort(*_OWNER, "time", "received_at", "source", "id")
        .with_columns(
            pl.int_range(pl.len()).over(_OWNER).alias("place"),
            starts.alias("starts"),
            (~starts & (pl.col("effective") == "period_end")).fill_null(value=False).alias("waits"),
            pl.col("time").alias("stated_at"),
            pl.col("plan_version").cast(pl.Int32, strict=False).alias("version"),
            pl.when(starts).then(pl.col("overrides").fill_null("")).otherwise("overrides").alias("overrides"),
        )
        .select(STATEMENTS.names())
        .cast(STATEMENTS)
    )


def stated_overrides(statements: pl.DataFrame) -> pl.DataFrame:
    """plan, overrides: every pair that a subscription of STATEMENTS may have had, each once."""
    plans = statements.select(*_OWNER, "plan").drop_nulls().unique()
    own = statements.filter(pl.col("overrides") != "").select(*_OWNER, "overrides").unique()
    return own.join(plans, on=_OWNER).select("plan", "overrides").unique()


def moments_of(facts: pl.DataFrame) -> pl.DataFrame:
    """MOMENTS from billing facts."""
    return (
        facts.filter(pl.col("type").str.starts_with(_PREFIX))
        .select(
            "tenant",
            pl.col("data").str.json_path_match("$.subscription").alias("subscription"),
            pl.col("type").str.strip_prefix(_PREFIX).alias("kind"),
            pl.col("time").alias("stated_at"),
            "received_at",
            "known_until",
        )
        .cast(MOMENTS)
    )


def received_late(facts: pl.DataFrame) -> pl.DataFrame:
    """RECEIVED_LATE from billing facts."""
    kinds = (_PREFIX, *_ZONED)
    catalogs = pl.col("type").str.starts_with("billing.catalog.")
    named = (pl.col("data").str.json_path_match(f"$.{name}").alias(name) for name in ("customer", "subscription"))
    return (
        facts.filter(pl.any_horizontal(pl.col("type").str.starts_with(kind) for kind in kinds))
        .select(
            "tenant",
            *named,
            pl.when(catalogs).then("time").alias("of_catalog"),
            pl.max_horizontal("received_at", "known_until").alias("known_since"),
        )
        .cast(RECEIVED_LATE)
    )


def burdens_of(facts: pl.DataFrame) -> pl.DataFrame:
    """BURDENS from billing facts."""
    rows = facts.select(
        "tenant",
        "type",
        *(pl.col("data").str.json_path_match(f"$.{name}").alias(name) for name in ("customer", "tax_rates", "amount")),
    )
    taxed = pl.col("type").str.starts_with("billing.customer.") & pl.col("tax_rates").is_not_null()
    # Decimal(38, 18) takes no more than 20 digits: what does not fit is large.
    large = pl.col("amount").cast(pl.Decimal(38, 18), strict=False).abs() >= _LARGE
    charged = pl.col("type").str.starts_with("billing.one_off.") & large.fill_null(value=True)
    coupons = pl.col("type").str.starts_with("billing.coupon.")
    kind = pl.when(taxed | charged).then(pl.lit("held")).when(coupons).then(pl.lit("discounted"))
    found = rows.select("tenant", "customer", kind.alias("kind")).drop_nulls()
    return found.unique().cast(BURDENS)


def discounted_tenants(facts: pl.DataFrame) -> pl.DataFrame:
    """tenant of those with a coupon that names no customer."""
    coupons = facts.filter(pl.col("type").str.starts_with("billing.coupon."))
    return coupons.filter(pl.col("data").str.json_path_match("$.customer").is_null()).select("tenant").unique()


def moved_of(facts: pl.DataFrame) -> pl.DataFrame:
    """MOVED from billing facts: today's time zone alone does not give the local days of these customers."""
    zoned = (
        facts.filter(pl.any_horizontal(pl.col("type").str.starts_with(kind) for kind in _ZONED))
        .with_columns(pl.col("data").str.json_path_match(f"$.{name}").alias(name) for name in ("customer", "timezone"))
        .drop_nulls("timezone")
    )
    own = pl.col("type").str.starts_with("billing.tenant.")
    catalogs = pl.col("type").str.starts_with("billing.catalog.")
    zone, time = pl.col("timezone"), pl.col("time")
    # A tenant has its catalog's zone until it states one; a customer that states one after it was created had another.
    late = (time.filter(own).min() > time.filter(catalogs).min()).fill_null(value=False) & (zone.n_unique() > 1)
    by_tenant = (zone.filter(own).n_unique() > 1) | (~own.any() & (zone.n_unique() > 1)) | late
    by_customer = (zone.n_unique() > 1) | ~(pl.col("type") == "billing.customer.created").any()
    return (
        zoned.group_by("tenant", "customer")
        .agg(by_tenant.alias("by_tenant"), by_customer.alias("by_customer"))
        .filter(pl.when(pl.col("customer").is_null()).then("by_tenant").otherwise("by_customer"))
        .select(MOVED.names())
        .cast(MOVED)
    )
