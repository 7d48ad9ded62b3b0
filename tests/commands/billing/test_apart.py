"""A command for many tenants ends with the others' result, says who failed and why, and exits with 1."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.commands.billing.test_simulate_together import RUNS, events_of, simulated
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.services.per_tenant import report, sentences, without_failing
from valueverse.services.simulation import simulate as simulation

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def failing_for(*poisoned: str) -> Any:
    def work(tenants: list[str]) -> list[str]:
        sys.stderr.write(f"working for {len(tenants)}\n")
        for tenant in tenants:
            if tenant in poisoned:
                raise OverflowError(f"out of range for {tenant}")
        return tenants

    return work


def test_the_others_are_done_together_and_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    found, failures = without_failing(failing_for("b", "d"), ["d", "c", "b", "a"])
    assert found == ["a", "c"]
    assert sentences(failures) == [
        "tenant b is left out: out of range for b [overflow_error]",
        "tenant d is left out: out of range for d [overflow_error]",
    ]
    assert capsys.readouterr().err == "working for 2\n"
    assert report(failures) == 1
    assert report([]) == 0


def test_where_everybody_fails_a_refusal_stays_what_it_is_and_all_else_becomes_one() -> None:
    def refuse(_: list[str]) -> None:
        raise RefusalError("no_invoices", "nothing closes there", "--from")

    with pytest.raises(RefusalError, match="nothing closes there") as caught:
        without_failing(refuse, ["a", "b"])
    assert caught.value.code == "no_invoices"
    with pytest.raises(RefusalError, match="tenant a is left out: out of range for a") as caught:
        without_failing(failing_for("a"), ["a"])
    assert caught.value.code == "tenants_failed"


def test_what_is_nobodys_failure_ends_the_command() -> None:
    def unreachable(_: list[str]) -> None:
        raise RefusalError("warehouse_unreachable", "Postgres does not answer")

    calls: list[int] = []

    def interrupted(_: list[str]) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(RefusalError, match="does not answer"):
        without_failing(unreachable, ["a", "b"])
    with pytest.raises(KeyboardInterrupt):
        without_failing(interrupted, ["a", "b"])
    assert calls == [1]


@pytest.mark.parametrize("runs", [RUNS[:2], ()])
def test_a_simulation_goes_on_without_the_tenant_it_fails_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: tuple[str, ...]
) -> None:
    options = [part for run in runs for part in ("--run-at", f"{run}T00:00:00Z")]
    lines = [*events_of("acme", 3), *events_of("birch", 5), *events_of("cedar", 4)]
    alone = simulated(tmp_path, lines, *options)
    works = simulation.derive_usage

    def poisoned(log: pl.LazyFrame, *more: Any) -> pl.LazyFrame:
        if log.collect()["tenant"].eq("birch").any():
            raise ArithmeticError("a number of birch is out of range")
        return works(log, *more)

    monkeypatch.setattr(simulation, "derive_usage", poisoned)
    files = ["--catalog", str(tmp_path / "catalog.json"), "--events", str(tmp_path / "events.ndjson")]
    period = ["--from", "2023-12-31", "--to", "2024-05-01"]
    found = CliRunner().invoke(app, ["simulate", *files, *period, *options])
    assert found.exit_code == 1
    assert [line for line in found.stdout.splitlines() if '"tenant":"acme"' in line] == alone
    assert '"tenant":"birch"' not in found.stdout
    assert '"tenant":"cedar"' in found.stdout
    assert found.stderr.count("tenant birch is left out: a number of birch is out of range [arithmetic_error]") == 1
    assert found.stderr.count("simulating periods") == 1
    assert "tenant_failed" in found.stderr
    assert "Traceback" not in found.stderr
    compared = CliRunner().invoke(
        app, ["simulate", *files, *period, *options, "--compare", str(tmp_path / "catalog.json")]
    )
    assert compared.exit_code == 1
    assert '"difference":"0.00"' in compared.stdout
