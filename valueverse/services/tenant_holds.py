"""Stages that go on without the tenants they fail for: who is held, who waits for whom, and what is written of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from valueverse.platform.isolation import Failure, Isolated, isolate
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import BILLING_FACTS_TABLE
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import date

    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings

T = TypeVar("T")
CURE, WHOLE, sentence = held_store.CURE, held_store.WHOLE, held_store.sentence

FACTS, USAGE, BILLING, JOURNAL, VALUE, RELEASE, MARTS = (
    "facts", "usage", "billing", "journal", "value", "release", "marts",
)  # fmt: skip
WAITS_FOR: dict[str, tuple[str, ...]] = {
    FACTS: (),
    USAGE: (FACTS,),
    BILLING: (FACTS, USAGE),
    JOURNAL: (FACTS,),
    VALUE: (FACTS, USAGE, BILLING),
    RELEASE: (),
    MARTS: (),
}
"""A stage leaves out tenants that are held in one of these: what it would read of them is incomplete."""
WAITS = "waits"
"""Code of a tenant that is held because an earlier stage holds it."""


def for_each_tenant(
    settings: Settings,
    stage: str,
    periods: Collection[date],
    work: Callable[[Sequence[str] | None], T],
    *,
    run_id: str,
    chosen: Sequence[str] | None,
    everyone: Callable[[], Sequence[str]],
) -> Isolated[T]:
    """Do a stage's work for all tenants but those that it fails for, and write who is held to the warehouse.

    Args:
        settings: where the warehouse is.
        stage: its name.
        periods: first days of the partitions that the work covers.
        work: one attempt for these tenants (None: for all): whole, or nothing and an error.
        run_id: recorded with what is written.
        chosen: the tenants asked for; None: all.
        everyone: gives all tenants whose data the work may read.

    Raises:
        BaseException: what is of no tenant (``isolation.isolate``).
    """
    waiting = _waiting(settings, stage, chosen)
    left = chosen
    if waiting:
        held = {failure.tenant for failure in waiting}
        left = [tenant for tenant in (everyone() if chosen is None else chosen) if tenant not in held]
    done = isolate(work, left, everyone)
    found = Isolated(done.results, [*done.failures, *waiting])
    with connect(settings, "builder") as connection:
        held_store.record(
            connection, stage, periods, found.failures, tenants=chosen, run_id=run_id, at=datetime.now(UTC)
        )
        connection.commit()
    return found


def tenants_of(lake: Lake) -> list[str]:
    """Every tenant with a billing event."""
    found = lake.scan(BILLING_FACTS_TABLE).select(pl.col("tenant").unique().sort()).collect()
    return list(found["tenant"])


def held_rows(settings: Settings, stage: str) -> pl.DataFrame:
    """Who is held in a stage, since when and why (``HELD_TENANTS``)."""
    with connect(settings, "builder") as connection:
        return held_store.held(connection, [stage])


def held_lines(settings: Settings) -> list[str]:
    """Who is held in stages and in months as lines of text, each kind with its cure; none where nobody is."""
    with connect(settings, "builder") as connection:
        rows, months = held_store.held(connection).to_dicts(), held_store.held_months(connection)
    listed = [f"{held_store.row_sentence(row)} ({held_store.since(row)})" for row in rows]
    judged = [held_store.month_sentence(row) for row in months]
    return [*listed, *[CURE] * bool(listed), *judged, *[held_store.MONTH_CURE] * bool(judged)]


def held_tenants(settings: Settings, stage: str) -> list[str]:
    """Who is held in a stage."""
    return list(held_rows(settings, stage)["tenant"].unique())


def held_months(settings: Settings, months: Collection[date]) -> pl.DataFrame:
    """month, tenant, stage, code, message: whom the stages before a release hold in these months (first days).

    What an unpartitioned stage holds is held in every month; what the first partition holds in those before it too.
    """
    with connect(settings, "builder") as connection:
        rows = held_store.held_periods(connection).filter(pl.col("stage") != MARTS)
    asked = pl.DataFrame({"month": sorted(months)}, schema={"month": pl.Date}).with_columns(
        pl.max_horizontal("month", pl.lit(FIRST_DAY)).alias("partition")
    )
    in_month = rows.filter(pl.col("period") != held_store.WHOLE).with_columns(
        pl.col("period").dt.truncate("1mo").alias("partition")
    )
    always = rows.filter(pl.col("period") == held_store.WHOLE).join(asked.select("month"), how="cross")
    names = ["month", "tenant", "stage", "code", "message"]
    found = asked.join(in_month, on="partition")
    return pl.concat([found.select(names), always.select(names)]).unique(maintain_order=True).sort(names)


def due_again(settings: Settings, stage: str, due_at: datetime | None = None) -> pl.DataFrame:
    """Who is to be tried again in a stage, and in which partitions (``HELD_PARTITIONS``).

    A month that the release holds for another stage's sake is decided again once no stage holds its tenant; a journal
    that is held is booked again with the tenant's newest billed month; marts are tried as soon as the tenant is
    released again.

    Args:
        settings: where the warehouse is.
        stage: its name.
        due_at: only what is to be tried again by this instant (``held_store.held``); None: everything.
    """
    with connect(settings, "builder") as connection:
        everything = held_store.held_periods(connection)
        rows = _due(everything, held_store.held_periods(connection, [stage], due_at), stage)
        if stage == BILLING:
            journal = _due(everything, held_store.held_periods(connection, [JOURNAL], due_at), JOURNAL)
            rows = pl.concat([rows, held_store.newest_months(connection, journal)])
        if stage == RELEASE:
            rows = pl.concat([rows, held_store.undecided(connection)])
        if stage == MARTS:
            rows = pl.concat([rows, held_store.released_since(connection, MARTS)]).unique(maintain_order=True)
    return rows


def _due(everything: pl.DataFrame, rows: pl.DataFrame, stage: str) -> pl.DataFrame:
    """The rows that are due, and those that waited for a stage which holds their tenant no more."""
    waits = pl.col("code") == WAITS
    reasons = everything.filter(~waits, pl.col("stage").is_in(list(WAITS_FOR[stage]))).select("tenant").unique()
    waiting = everything.filter(waits, pl.col("stage") == stage).join(reasons, on="tenant", how="anti")
    return pl.concat([rows.filter(~waits), waiting])


def _waiting(settings: Settings, stage: str, chosen: Sequence[str] | None) -> list[Failure]:
    """The tenants that are held in a stage that this one reads from."""
    before = WAITS_FOR[stage]
    if not before:
        return []
    with connect(settings, "builder") as connection:
        rows = held_store.held(connection, before)
    if chosen is not None:
        rows = rows.filter(pl.col("tenant").is_in(list(chosen)))
    first = rows.filter(pl.col("code") != WAITS).unique("tenant", keep="first", maintain_order=True)
    return [
        Failure(row["tenant"], WAITS, f"waits for {row['stage']}: {row['message']} [{row['code']}]")
        for row in first.iter_rows(named=True)
    ]
