"""The gate before publishing: judge each tenant's month, then release or hold it; nobody holds another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from quality.judging import judge_each
from quality.period import Month
from quality.rules import RULES
from valueverse.platform.stores.tenant_store import tenant_keys
from valueverse.platform.warehouse import connect
from valueverse.schemas.checks import RELEASE_DECISIONS
from valueverse.services.tenant_holds import MARTS, WAITS_FOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from valueverse.platform.settings import Settings

_AT_ONCE = 12
"""Months that are judged in one pass: the text of each rule's query grows with them."""
_SENTENCES = {rule.name: rule.sentence for rule in RULES} | {
    f"held_in_{stage}": "every stage of the month is done" for stage in WAITS_FOR if stage != MARTS
}


def decide_release(
    settings: Settings,
    periods: Sequence[str],
    tenants: Sequence[str] | None = None,
    *,
    run_id: str = "",
    docs: Path | None = None,
    held: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Judge the months of each tenant and write the decisions to ``billing.release``.

    A tenant that breaks a rule in a month is ``held`` in that month and the reason names the rule, how many rows
    break it and one of them; a rule that could not be judged holds every tenant in every month. All others are
    ``released``. dbt publishes released months only.

    Args:
        settings: Where Postgres is.
        periods: ``2023-11`` or ``2023-11-01``.
        tenants: Tenant keys; None decides for all tenants that exist.
        run_id: Stored with the decision.
        docs: Folder in which the data docs are rebuilt; None builds none.
        held: month, tenant, stage, code, message of tenants for which a stage before this one is not done in a month
            (its first day).

    Returns:
        Frame (tenant, status, reason, month), sorted by month and tenant; reason is null when released.

    Raises:
        RefusalError: ``bad_period``; ``warehouse_unreachable``.
    """
    months = sorted({Month.parse(period) for period in periods}, key=lambda month: month.first)
    if not months:
        return RELEASE_DECISIONS.to_frame()
    with connect(settings, "builder") as connection:
        known = tenant_keys(connection)
    chosen = known if tenants is None else sorted(set(tenants) & set(known))
    findings: list[pl.DataFrame] = [] if held is None else [_unfinished(held)]
    for place in range(0, len(months), _AT_ONCE):
        judgement = judge_each(settings, months[place : place + _AT_ONCE], chosen, everyone=tenants is None)
        findings.append(judgement.findings)
        if docs is not None and place + _AT_ONCE >= len(months):
            judgement.build_docs(docs)
    decisions = decisions_of(chosen, [month.key for month in months], pl.concat(findings))
    _write(settings, decisions, run_id)
    return decisions


def decisions_of(tenants: Sequence[str], periods: Sequence[str], findings: pl.DataFrame) -> pl.DataFrame:
    """Frame (tenant, status, reason, month) from FINDINGS; nulls of tenant and period mean all."""
    each = pl.DataFrame({"tenant": tenants}, schema={"tenant": pl.String})
    every = pl.DataFrame({"period": periods}, schema={"period": pl.String}).join(each, how="cross")
    unjudged = findings.filter(pl.col("tenant").is_null()).drop("period", "tenant").join(every, how="cross")
    reasons = (
        pl.concat([findings.drop_nulls("tenant"), unjudged.select(findings.columns)])
        .with_columns(sentence=pl.col("rule").replace(_SENTENCES))
        .with_columns(
            text=pl.when(pl.col("rows").is_null())
            .then(pl.format('{}: {} ("{}")', "rule", "example", "sentence"))
            .otherwise(pl.format('{}: {} row(s) break "{}", such as {}', "rule", "rows", "sentence", "example"))
        )
        .group_by("period", "tenant")
        .agg(pl.col("text").sort().str.join("; ").alias("reason"))
    )
    return (
        every.join(reasons, on=["period", "tenant"], how="left")
        .with_columns(status=pl.when(pl.col("reason").is_null()).then(pl.lit("released")).otherwise(pl.lit("held")))
        .sort("period", "tenant")
        .select("tenant", "status", "reason", month="period")
    )


def _unfinished(held: pl.DataFrame) -> pl.DataFrame:
    """Findings of tenants that a stage holds."""
    return held.select(
        pl.col("month").dt.strftime("%Y-%m").alias("period"),
        "tenant",
        rule=pl.format("held_in_{}", "stage"),
        rows=pl.lit(None, pl.Int64),
        example=pl.format("{} [{}]", "message", "code"),
    ).with_columns(pl.col("rule").cast(pl.String))


def _write(settings: Settings, decisions: pl.DataFrame, run_id: str) -> None:
    moment = datetime.now(UTC)
    rows = [(tenant, month, status, reason, run_id, moment) for tenant, status, reason, month in decisions.iter_rows()]
    with connect(settings, "builder") as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into billing.release (tenant_id, period, status, reason, run_id, decided_at) "
            "values (%s, %s, %s, %s, %s, %s) on conflict (tenant_id, period) do update set "
            "status = excluded.status, reason = excluded.reason, run_id = excluded.run_id, "
            "decided_at = excluded.decided_at",
            rows,
        )
