"""Events of the lake become billing facts (all of them) and typed usage (of some dates).

Both writes are whole and idempotent: running again, or after a kill at any point, gives the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.events import EVENT_KEY, resolve_amendments
from valueverse.metering import OK, VOID, derive_usage
from valueverse.schemas.events import BILLING_FACTS
from valueverse.schemas.metering import USAGE_COUNTS
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, USAGE_TABLE
from valueverse.subscriptions import EVENT_ORDER

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from valueverse.platform.lake import Lake, Opened

IS_UNMETERED = ~pl.col("status").is_in([OK, VOID])
IS_BILLING = pl.col("type").str.starts_with("billing.")
_VERSION, _SECOND = "events.version/", "events.second/"
"""Names of positions of ``billing_facts``: of all tenants, or with a tenant behind it of that one."""


@dataclass(frozen=True, slots=True)
class MeteringReport:
    """What metering wrote.

    Attributes:
        counts: USAGE_COUNTS of the tenants that it was done for.
    """

    counts: pl.DataFrame

    @classmethod
    def joined(cls, parts: Sequence[MeteringReport]) -> MeteringReport:
        """One report of parts that are about different tenants."""
        return cls(pl.concat([USAGE_COUNTS.to_frame(), *(part.counts for part in parts)]))

    def not_in_the_lake(self, found: pl.DataFrame) -> pl.DataFrame:
        """tenant, event_date, written, found: where the lake (USAGE_COUNTS) holds other rows than were written."""
        keys = ["tenant", "event_date"]
        written = self.counts.group_by(keys).agg(pl.sum("rows").alias("written"))
        held = found.group_by(keys).agg(pl.sum("rows").alias("found"))
        both = written.join(held, on=keys, how="left").with_columns(pl.col("found").fill_null(0))
        return both.filter(pl.col("written") != pl.col("found")).sort(keys)


def facts_of(events: Opened, tenants: Collection[str] | None = None) -> pl.DataFrame:
    """The billing facts of all tenants, or of some, from every billing event of a version of EVENTS_TABLE."""
    billing = events.scan().filter(IS_BILLING)
    if tenants is not None:
        billing = billing.filter(pl.col("tenant").is_in(list(tenants)))
    columns = list(BILLING_FACTS_TABLE.schema)
    facts = (
        resolve_amendments(billing)
        .filter(~pl.col("is_void") & ~pl.col("awaiting_original"))
        .select(columns)
        .sort("tenant", *EVENT_ORDER)
    )
    return facts.collect()


def write_facts(lake: Lake, facts: pl.DataFrame, events: Opened, tenants: Collection[str] | None = None) -> None:
    """Replace ``billing_facts``, of all tenants or of some; rows that are the same already are left alone.

    Args:
        lake: of the facts.
        facts: of ``facts_of``.
        events: the version that they follow from. It is recorded with them: ``received_facts`` adds what came since.
        tenants: whose facts; None: of all.
    """
    table = lake.open(BILLING_FACTS_TABLE)
    known = table.scan().collect()
    others = known.clear() if tenants is None else known.filter(~pl.col("tenant").is_in(list(tenants)))
    whole = pl.concat([facts, others.select(facts.columns)]).sort("tenant", *EVENT_ORDER)
    positions = _positions(events, tenants)
    if not whole.equals(known.sort("tenant", *EVENT_ORDER)):
        lake.overwrite(BILLING_FACTS_TABLE, whole, positions=positions)
    elif any(table.position(name) != place for name, place in positions.items()):
        lake.append_all(BILLING_FACTS_TABLE, [], positions=positions)


def _positions(events: Opened, tenants: Collection[str] | None) -> dict[str, int]:
    """What is recorded of a version of the events: its number, and the second in which its newest were received."""
    newest = events.newest("received_at")
    if newest is None:
        return {}
    places = {_VERSION: events.version, _SECOND: int(newest.timestamp())}
    owners = [""] if tenants is None else tenants
    return {name + owner: place for owner in owners for name, place in places.items()}


def received_facts(lake: Lake, tenant: str) -> pl.DataFrame:
    """BILLING_FACTS of a tenant, with the billing events that its facts do not follow from yet: an ingestion commits
    events, forgets where they waited, and derives facts after that, or a later one does if it was stopped."""
    table, mine = lake.open(BILLING_FACTS_TABLE), pl.col("tenant") == tenant
    events = lake.open(EVENTS_TABLE)
    facts = BILLING_FACTS.conform(table.scan().filter(mine).collect())
    # Of a tenant that could not be done together with the others, its own facts may be newer, or older, than theirs.
    owner = max("", tenant, key=lambda one: table.position(_VERSION + one) or -1)
    if events.version in {-1, table.position(_VERSION + owner)}:
        return facts
    # From that second on, not behind it: several commits of one ingestion state the same instant of receipt.
    since = datetime.fromtimestamp(table.position(_SECOND + owner) or 0, UTC)
    new = events.scan(events.dates_from("received_at", since)).filter(mine, IS_BILLING, pl.col("received_at") >= since)
    added = BILLING_FACTS.conform(new.collect(), unset=("known_until",))
    return pl.concat([facts, added]).unique(EVENT_KEY, keep="first", maintain_order=True)


def derive_facts(lake: Lake) -> pl.DataFrame:
    """Rewrite ``billing_facts`` from every billing event of the lake, and return it."""
    events = lake.open(EVENTS_TABLE)
    facts = facts_of(events)
    write_facts(lake, facts, events)
    return facts


def meter(lake: Lake, dates: Collection[date], *, tenants: Collection[str] | None = None) -> MeteringReport:
    """Derive ``usage`` of these event dates again, for all tenants or for some.

    The rows of tenants that were not asked for stay as they are. ``billing_facts`` has to be up to date.
    """
    wanted = sorted(set(dates))
    facts = lake.scan(BILLING_FACTS_TABLE)
    if tenants is not None:
        facts = facts.filter(pl.col("tenant").is_in(list(tenants)))
    history = CatalogHistory.from_facts(facts.collect())
    usage = derive_usage(_resolved(lake, wanted, tenants), history).collect(engine="streaming")
    if tenants is not None:
        others = lake.scan(USAGE_TABLE, wanted).filter(~pl.col("tenant").is_in(list(tenants))).collect()
        lake.replace_dates(USAGE_TABLE, pl.concat([usage, others.select(usage.columns)]), wanted)
    else:
        lake.replace_dates(USAGE_TABLE, usage, wanted)
    return MeteringReport(counts_of(usage.lazy()).collect())


def usage_counts(lake: Lake, dates: Collection[date]) -> pl.DataFrame:
    """USAGE_COUNTS of these dates as the lake holds them, of all tenants."""
    return counts_of(lake.scan(USAGE_TABLE, dates)).collect(engine="streaming")


def unmetered_usage(lake: Lake) -> pl.DataFrame:
    """tenant, meter, status, dates, rows: usage of any date that no meter takes, or that its meter cannot read."""
    wrong = lake.scan(USAGE_TABLE).filter(IS_UNMETERED)
    found = wrong.group_by("tenant", "meter", "status").agg(
        pl.n_unique("event_date").alias("dates"), pl.len().alias("rows")
    )
    order = ["rows", "tenant", "meter", "status"]
    return found.collect(engine="streaming").sort(order, descending=[True, False, False, False], nulls_last=True)


def counts_of(usage: pl.LazyFrame) -> pl.LazyFrame:
    """USAGE_COUNTS of usage."""
    groups = usage.group_by("tenant", "event_date", "meter", "status")
    return groups.agg(pl.len().cast(pl.Int64).alias("rows")).select(USAGE_COUNTS.names())


def senders(lake: Lake, dates: Collection[date] | None = None) -> list[str]:
    """Every tenant with an event, on these dates or on any."""
    found = lake.scan(EVENTS_TABLE, dates).select(pl.col("tenant").unique().sort()).collect()
    return list(found["tenant"])


def lake_dates(lake: Lake, first: date, last: date) -> list[date]:
    """Event dates the lake holds between two dates, both included."""
    return [day for day in lake.dates(EVENTS_TABLE) if first <= day <= last]


def _resolved(lake: Lake, dates: list[date], tenants: Collection[str] | None) -> pl.LazyFrame:
    """Usage events of these dates, resolved against amendments and originals of every date."""
    log = lake.open(EVENTS_TABLE)
    wanted = ~IS_BILLING if tenants is None else ~IS_BILLING & pl.col("tenant").is_in(list(tenants))
    here = log.scan(dates).filter(wanted)
    # The table's log knows the dates that hold any: usually none, or few.
    amendments = log.scan(log.dates_with("replaces")).filter(wanted & pl.col("replaces").is_not_null()).collect()
    if amendments.is_empty():
        return resolve_amendments(here)
    # A chain may run over any dates: its other ends are read too, and left out again once it is resolved.
    elsewhere = ~pl.col("event_date").is_in(dates)
    originals = amendments.lazy().select("tenant", "source", pl.col("replaces").alias("id")).unique()
    chains = pl.concat(
        [
            amendments.lazy().filter(elsewhere),
            log.scan()
            .filter(wanted & elsewhere & pl.col("replaces").is_null())
            .join(originals, on=EVENT_KEY, how="semi"),
        ]
    )
    return resolve_amendments(pl.concat([here, chains])).filter(pl.col("event_date").is_in(dates))
