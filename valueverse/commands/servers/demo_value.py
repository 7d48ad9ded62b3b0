"""The demonstration's value model: committed and agreed on before the months it is measured by are run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

_COMMIT_OPTIONS: dict[str, Any] = {
    "scenario": "agreed",
    "seed": 1,
    "author": "ines.author@northwind.example",
    "start": "2023-11-01",
    "parent": None,
    "reason": None,
}


def agree(settings: Settings) -> str:
    """Commit northwind's model and approve it for both sides, once; its commit."""
    from valueverse.demo import northwind
    from valueverse.platform.stores.tenant_records import tenant_records
    from valueverse.services.value.commits import approve_commit, commit_model

    with tenant_records(settings, northwind.TENANT) as records:
        existing = [one for one in commit_model.log(records) if one["model"] == northwind.VALUE_MODEL]
        if existing:
            return str(existing[0]["commit"])
        options = _COMMIT_OPTIONS | {"customer": northwind.AGREED_WITH}
        commit = str(commit_model.commit(records, json.dumps(northwind.value_model()), options)["commit"])
        approve_commit.approve(records, commit, "vendor", "vera.vendor@northwind.example")
        approve_commit.approve(records, commit, "customer", "carl.customer@code-assistant.example")
    return commit


def report_path(settings: Settings) -> Path:
    """Where the page lies."""
    from valueverse.demo import northwind

    return settings.home / "reports" / f"{northwind.VALUE_MODEL}.html"


def write_report(settings: Settings) -> Path:
    """The realised November as a page; where it lies."""
    from valueverse.demo import northwind
    from valueverse.services.value.value_report import report_of_commit

    path = report_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    commit = agree(settings)
    path.write_text(report_of_commit(settings, northwind.TENANT, commit), encoding="utf-8")
    return path
