"""Rules that cannot be judged of one tenant's rows hold that tenant: the others are judged without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from quality.expectations import FINDINGS, Judgement, judge
from valueverse.platform.isolation import isolate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from quality.period import Month
    from valueverse.platform.settings import Settings


class _UnjudgedError(Exception):
    """Rules could not be judged of a set of tenants; the findings name them with a null tenant."""

    def __init__(self, findings: pl.DataFrame) -> None:
        super().__init__("; ".join(findings["rule"]))
        self.findings = findings


def judge_each(
    settings: Settings, month: Month, tenants: Sequence[str], docs: Path | None = None, *, everyone: bool
) -> Judgement:
    """``judge``; where a rule cannot be judged, the tenants whose rows are the reason are found by bisection.

    Args:
        settings: Where Postgres is.
        month: The month that is to be published.
        tenants: Tenant keys.
        docs: Folder of the data docs, or None.
        everyone: whether these are all tenants, so that rows without a tenant are judged too.

    Returns:
        The findings, each rule that could not be judged by the tenants of whom it could not; by nobody (a null tenant)
        where the rule itself does not run, also on no rows.
    """
    judgement = judge(settings, month, None if everyone else tenants, docs)
    if not _unjudged(judgement.findings).height or _unjudged(judge(settings, month, []).findings).height:
        return judgement
    first = pl.concat([judgement.findings.drop_nulls("tenant")])

    def work(asked: Sequence[str] | None) -> pl.DataFrame:
        findings = judge(settings, month, asked).findings
        if _unjudged(findings).height:
            raise _UnjudgedError(findings)
        return findings

    done = isolate(work, tenants, lambda: tenants)
    held = [
        {"tenant": one.tenant, "rule": rule, "rows": None, "example": "the check could not run"}
        for one in done.failures
        for rule in one.message.split("; ")
    ]
    alone = pl.DataFrame(held, schema=FINDINGS, orient="row")
    return Judgement(pl.concat([first, *done.results, alone]).unique(maintain_order=True), judgement.context)


def _unjudged(findings: pl.DataFrame) -> pl.DataFrame:
    return findings.filter(pl.col("tenant").is_null())
