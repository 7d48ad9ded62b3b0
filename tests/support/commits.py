"""What is done to a tenant's commits and proposals, each in a transaction of its own, as the command line does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from valueverse.cli import app
from valueverse.platform.stores.tenant_records import tenant_records
from valueverse.services.value import compare_models, explain_value, value_variance
from valueverse.services.value.commits import approve_commit, commit_model, fee_proposals, verify_commits

if TYPE_CHECKING:
    from datetime import date, datetime

    import polars as pl

    from valueverse.platform.settings import Settings

Found = dict[str, Any]


def printed(settings: Settings, tenant: str, *words: str) -> str:
    """What ``valueverse value`` prints of a tenant as JSON."""
    environment = {name: text for name, text in settings.environment().items() if text}
    result = CliRunner().invoke(app, ["value", *words, "--tenant", tenant, "--json"], env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def commit(
    settings: Settings, tenant: str, text: str, options: dict[str, Any], data: pl.DataFrame | None = None
) -> Found:
    """As ``commit_model.commit``."""
    with tenant_records(settings, tenant) as records:
        return commit_model.commit(records, text, options, data)


def log(settings: Settings, tenant: str) -> list[Found]:
    """As ``commit_model.log``."""
    with tenant_records(settings, tenant) as records:
        return commit_model.log(records)


def approve(settings: Settings, tenant: str, commit: str, side: str, by: str) -> Found:
    """As ``approve_commit.approve``."""
    with tenant_records(settings, tenant) as records:
        return approve_commit.approve(records, commit, side, by)


def verify(settings: Settings, tenant: str, head: str | None) -> Found:
    """As ``verify_commits.verify``."""
    with tenant_records(settings, tenant) as records:
        return verify_commits.verify(records, head)


def listed(settings: Settings, tenant: str, now: datetime) -> list[Found]:
    """As ``fee_proposals.listed``."""
    with tenant_records(settings, tenant) as records:
        return fee_proposals.listed(records, now)


def answer(settings: Settings, tenant: str, proposal: str, verdict: str, given: dict[str, str | None]) -> Found:
    """As ``fee_proposals.answer``."""
    with tenant_records(settings, tenant) as records:
        return fee_proposals.answer(records, proposal, verdict, given)


def close(settings: Settings, tenant: str, commit: str, outcome: str, by: str, reason: str) -> Found:
    """As ``fee_proposals.close``."""
    with tenant_records(settings, tenant) as records:
        return fee_proposals.close(records, commit, outcome, by, reason)


def differences(settings: Settings, tenant: str, before: str, after: str) -> compare_models.ModelDifference:
    """As ``compare_models.commits``."""
    with tenant_records(settings, tenant) as records:
        return compare_models.commits(records, before, after)


def explain(
    settings: Settings, tenant: str, place: explain_value.RunRef, asked: explain_value.Question, limit: int
) -> explain_value.Answer:
    """As ``explain_value.explain_commit``."""
    with tenant_records(settings, tenant) as records:
        return explain_value.explain_commit(records, place, asked, limit)


def variance(settings: Settings, tenant: str, commit: str, month: date | None, asked: dict[str, Any]) -> Found:
    """As ``value_variance.difference``."""
    with tenant_records(settings, tenant) as records:
        return value_variance.difference(records, commit, month, asked)
