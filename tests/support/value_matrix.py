"""What the matrix of isolation asks of value models, commits, runs and proposals: addresses, arguments of functions."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tests.support.billing_rows import TENANTS, secret_of
from tests.support.value_models import saved_model
from valueverse.platform.stores import value_store
from valueverse.platform.stores.commit_store import document
from valueverse.platform.stores.tenant_records import tenant_records
from valueverse.services.value.commits import commit_model
from valueverse.value.executor import read_metrics
from valueverse.value.realisation import Commitment, run_cases

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

NO_HASH = "repeat('0', 64)"
REFERRING = {"add_commit", "add_commit_event", "add_approval", "add_closing", "add_run", "add_proposal", "add_verdict"}
"""They write what belongs to a commit, a run or a proposal of the same tenant."""

COMMITS: dict[str, str] = {}
RUNS: dict[str, str] = {}
"""A commit of each tenant, and a run of it."""
_OPTIONS = {"scenario": "agreed", "seed": 1, "start": "2023-11-01", "parent": None, "reason": None}
_AT = datetime(2023, 12, 2, tzinfo=UTC)
_NONE = "0" * 64


def seeded_hash(of: str, tenant: str) -> str:
    """A hash of ``billing_rows``."""
    return hashlib.sha256(f"{of} {tenant}".encode()).hexdigest()


def commit_models(settings: Settings) -> None:
    """Commit a model for the customer of each tenant, and run it; its author is the tenant's secret."""
    for tenant in TENANTS:
        with tenant_records(settings, tenant) as records:
            whose = {"author": f"author {secret_of(tenant)}", "customer": f"customer {secret_of(tenant)}"}
            commit = commit_model.commit(records, json.dumps(saved_model()), _OPTIONS | whose)["commit"]
            measured = read_metrics(value_store.metrics(records, whose["customer"], "USD"))
            for run in run_cases(Commitment.read(commit, document(records, commit)), measured, date(2023, 11, 1)):
                RUNS[tenant] = hashlib.sha256(run.content_hash.encode()).hexdigest()
                row = {"run_hash": RUNS[tenant], "commit_id": commit, "case_name": run.case, "month": date(2023, 11, 1)}
                row |= {"known_at": _AT, "content_hash": run.content_hash, "document": json.dumps(run.document)}
                results = [(name, repr(value), run.units[name]) for name, value in run.values.items()]
                value_store.add_run(records, row | {"run_id": "test", "computed_at": _AT}, results)
        COMMITS[tenant] = commit


def value_addresses(tenant: str) -> dict[str, str]:
    """An address of every route that reads a tenant's value models, commits, runs and proposals."""
    return {
        "/v1/library": "/v1/library",
        "/v1/library/{name}": "/v1/library/support_deflection",
        "/v1/value-models": "/v1/value-models",
        "/v1/value-models/{key}": f"/v1/value-models/of_{tenant}",
        "/v1/commits": "/v1/commits",
        "/v1/commits/{id}": f"/v1/commits/{COMMITS.get(tenant, _NONE)}",
        "/v1/commits/{id}/diff": f"/v1/commits/{COMMITS.get(tenant, _NONE)}/diff?before={COMMITS.get(tenant, _NONE)}",
        "/v1/commits/{id}/realisation": f"/v1/commits/{COMMITS.get(tenant, _NONE)}/realisation",
        "/v1/runs/{id}": f"/v1/runs/{RUNS.get(tenant, _NONE)}",
        "/v1/runs/{id}/explain": f"/v1/runs/{RUNS.get(tenant, _NONE)}/explain",
        "/v1/fee-proposals": "/v1/fee-proposals",
        "/v1/fee-proposals/{id}": f"/v1/fee-proposals/proposal%20{secret_of(tenant)}",
        "/v1/commits/{id}/verify": f"/v1/commits/{COMMITS.get(tenant, _NONE)}/verify",
    }


def value_calls(owner: str) -> dict[str, tuple[str, list[Any]]]:
    """Arguments behind the tenant's, for every function of them, that would find rows of ``owner``."""
    return {
        "value_models": ("null, 100", []),
        "value_model": ("%s, null", [f"of_{owner}"]),
        "store_value_model": ("gen_random_uuid()::text, null, 'text', %s, 'key', ''", ["0" * 64]),
        "tenant_known": ("true", []),
        "lock_value": ("", []),
        "known_customers": ("%s", [f"customer {secret_of(owner)}"]),
        "metrics": ("%s, 'USD'", [f"customer {secret_of(owner)}"]),
        "metrics_known_at": ("", []),
        "commits": ("%s, true", [COMMITS[owner][:8]]),
        "agreed_commits": ("", []),
        "commit_history": ("null", []),
        "commit_events": ("", []),
        "chain_ends": ("", []),
        "add_commit": ("99, repeat('0', 64), 'm', 'k', %s, 'd', null, 'h', now()", [COMMITS[owner]]),
        "add_commit_event": ("99, %s, 'vendor', '{}', 'h', repeat('0', 64), 'k', ''", [COMMITS[owner]]),
        "add_approval": ("%s, 'vendor', 'k', now()", [COMMITS[owner]]),
        "add_closing": ("%s, 'confirmed', 'k', 'r', now()", [COMMITS[owner]]),
        "proposals": ("%s, null", [f"customer {secret_of(owner)}"]),
        "metric_lines": (
            "'billing.invoiced_net', %s, null, '2023-11-01', 'infinity'",
            [f"customer {secret_of(owner)}"],
        ),
        "measured_months": ("", []),
        "newest_runs": ("%s, null, true", [seeded_hash("commit of", owner)]),
        "run": ("%s", [seeded_hash("realised", owner)]),
        "run_results": ("%s", [seeded_hash("realised", owner)]),
        "add_run": (
            f"{NO_HASH}, %s, 'realised', '2023-11-01', now(), {NO_HASH}, 'd', '', now(), null, null, null, '', ''",
            [seeded_hash("commit of", owner)],
        ),
        "add_proposal": (
            "'new', %s, %s, 'm', 'c', 's', 'k', now(), 'infinity', 1, 1, 'none', 1, 'USD', now(), now(), ''",
            [seeded_hash("commit of", owner), seeded_hash("realised", owner)],
        ),
        "proposal_verdicts": ("%s", [f"proposal {secret_of(owner)}"]),
        "add_verdict": ("%s, 'accepted', 'k', null, now(), 'k', ''", [f"proposal {secret_of(owner)}"]),
    }
