"""Rules that cannot be judged of one tenant's rows hold that tenant: the others are judged without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from quality.expectations import Judgement, judge
from valueverse.platform.isolation import isolate
from valueverse.schemas.checks import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quality.period import Month
    from valueverse.platform.settings import Settings


class _UnjudgedError(Exception):
    """Rules could not be judged of a set of tenants; the findings name them with a null tenant."""

    def __init__(self, findings: pl.DataFrame) -> None:
        super().__init__("; ".join(findings["rule"]))
        self.findings = findings


def judge_each(settings: Settings, months: Sequence[Month], tenants: Sequence[str], *, everyone: bool) -> Judgement:
    """``judge``; where a rule cannot be judged, the months and tenants whose rows are the reason are searched for.

    Args:
        settings: Where Postgres is.
        months: The months that are to be published.
        tenants: Tenant keys.
        everyone: whether these are all tenants, so that rows without a tenant are judged too.

    Returns:
        The findings, each rule that could not be judged by the months and tenants of whom it could not; by nobody (a
        null tenant) where the rule itself does not run, also on no rows.
    """
    judgement = judge(settings, months, None if everyone else tenants)
    if not _unjudged(judgement.findings).height:
        return judgement
    if _unjudged(judge(settings, months, []).findings).height:
        return judgement
    alone = [_of_month(settings, month, tenants, everyone=everyone) for month in months]
    return Judgement(pl.concat(alone), judgement.context)


def _of_month(settings: Settings, month: Month, tenants: Sequence[str], *, everyone: bool) -> pl.DataFrame:
    """Findings of a month; whoever's rows a rule cannot be judged of is found by bisection."""
    all_at_once = judge(settings, [month], None if everyone else tenants).findings
    if not _unjudged(all_at_once).height:
        return all_at_once

    def work(asked: Sequence[str] | None) -> pl.DataFrame:
        findings = judge(settings, [month], asked).findings
        if _unjudged(findings).height:
            raise _UnjudgedError(_unjudged(findings))
        return findings

    done = isolate(work, tenants, lambda: tenants)
    held = [
        {"period": month.key, "tenant": one.tenant, "rule": rule, "rows": None, "example": "the check could not run"}
        for one in done.failures
        for rule in one.message.split("; ")
    ]
    unjudged = pl.DataFrame(held, schema=FINDINGS, orient="row")
    return pl.concat([all_at_once.drop_nulls("tenant"), *done.results, unjudged]).unique(maintain_order=True)


def _unjudged(findings: pl.DataFrame) -> pl.DataFrame:
    return findings.filter(pl.col("tenant").is_null())
