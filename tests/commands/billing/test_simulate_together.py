"""``valueverse simulate`` over the events of several tenants with equal names: each is billed as if alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from valueverse.cli import app

if TYPE_CHECKING:
    from pathlib import Path

CATALOG: dict[str, Any] = {
    "schema": "valueverse.catalog/v1",
    "meters": [{"key": "tokens", "event_type": "request", "aggregation": "sum", "value": "tokens"}],
    "coupons": [{"key": "half", "percent": "50", "periods": 2}],
    "plans": [
        {
            "key": key,
            "period": {"unit": "month", "align": "calendar"},
            "fees": [{"key": "base", "amount": fee, "timing": "in_advance"}],
            "charges": [{"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": unit}}],
        }
        for key, fee, unit in (("pro", "20", "1"), ("team", "20", "0.5"))
    ],
}
RUNS = ("2024-02-03", "2024-03-03", "2024-04-03", "2024-05-03")


def events_of(tenant: str, day: int) -> list[str]:
    """One tenant's events; ``day`` moves them, so that what a tenant knows, and when, is its own."""
    stated: list[tuple[str, str, dict[str, Any]]] = [
        ("billing.customer.created", "2024-01-01", {"customer": "c1"}),
        ("billing.subscription.started", "2024-01-01", {"subscription": "s1", "customer": "c1", "plan": "pro"}),
        ("billing.coupon.applied", f"2024-01-{day:02}", {"customer": "c1", "coupon": "half"}),
        (
            "billing.wallet.granted",
            f"2024-01-{day + 1:02}",
            {"customer": "c1", "wallet": "w", "amount": f"{60 + day}", "currency": "USD"},
        ),
        (
            "billing.one_off.added",
            f"2024-02-{day:02}",
            {"customer": "c1", "description": "help", "amount": f"{day}", "currency": "USD"},
        ),
        ("billing.subscription.changed", f"2024-03-{day:02}", {"subscription": "s1", "plan": "team"}),
    ]
    rows = [
        {"type": kind, "time": f"{when}T00:00:00Z", "data": data, "received_at": f"{when}T0{day % 9}:00:00Z"}
        for kind, when, data in stated
    ]
    for month, received in (("01", "01"), ("01", "02"), ("02", "02"), ("03", "04")):
        rows.append(
            {
                "type": "request",
                "time": f"2024-{month}-{day + 5:02}T00:00:00Z",
                "subject": "c1",
                "data": {"tokens": day},
                "received_at": f"2024-{received}-{day + 10:02}T00:00:00Z",
            }
        )
    common = {"specversion": "1.0", "source": "office", "tenant": tenant}
    return [json.dumps(common | row | {"id": f"{number}"}) for number, row in enumerate(rows)]


def simulated(folder: Path, lines: list[str], *options: str) -> list[str]:
    (folder / "catalog.json").write_text(json.dumps(CATALOG))
    (folder / "events.ndjson").write_text("\n".join(lines))
    names = ["simulate", "--catalog", str(folder / "catalog.json"), "--events", str(folder / "events.ndjson")]
    found = CliRunner().invoke(app, [*names, "--from", "2023-12-31", "--to", "2024-05-01", *options])
    assert found.exit_code == 0, found.output
    return [line for line in found.stdout.splitlines() if '"tenant":"acme"' in line]


@pytest.mark.parametrize("options", [(), tuple(part for run in RUNS for part in ("--run-at", f"{run}T00:00:00Z"))])
def test_documents_of_a_tenant_are_the_same_bytes_with_and_without_others(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    alone = simulated(tmp_path, events_of("acme", 3), *options)
    others = [events_of("birch", 5), events_of("cedar", 7)]
    mixed = [line for rows in zip(events_of("acme", 3), *others, strict=True) for line in rows]
    assert len(alone) >= 4
    assert simulated(tmp_path, mixed, *options) == alone
    assert simulated(tmp_path, mixed[::-1], *options) == alone
