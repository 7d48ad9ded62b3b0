"""Every command on a terminal of 80 columns: no traceback, nothing garbled, the exit code that the documents say."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands.billing.test_simulate import CATALOG, EARLY, STARTED
from tests.services.value.test_value_step import MODEL, committed
from tests.support.ledger import World
from tests.support.shared_servers import private_folder
from tests.support.terminal import at_terminal, commands, faults
from tests.support.warehouse_billing import run
from valueverse.errors import RefusalError
from valueverse.platform.access import analysts
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing import rerate as rerating
from valueverse.services.simulation.simulate import read_catalog
from valueverse.services.value.commits import approve_commit, commit_model, fee_proposals
from valueverse.services.value.track_value import track_value
from valueverse.value import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

CASES = Path(__file__).parents[1] / "reference_cases"
NOW = datetime(2024, 1, 5, tzinfo=UTC)
END = "\n\x04"

CALLS: dict[str, tuple[str, ...]] = {
    "analysts add": ("{analyst}new", "--tenant", "acme"),
    "analysts list": (),
    "analysts remove": ("{analyst}",),
    "catalog check": ("{folder}/catalog.json",),
    "catalog diff": ("{folder}/catalog.json", "{folder}/doubled.json"),
    "catalog publish": ("{folder}/catalog.json", "--tenant", "acme"),
    "customers add": ("zenith", "--tenant", "acme", "--name", "Zenith AG", "--city", "Bonn"),
    "customers list": ("--tenant", "acme"),
    "doctor": (),
    "document": ("{folder}/invoice.json", "--out", "{folder}/invoice.pdf"),
    "events check": ("{folder}/events.ndjson", "--tenant", "acme"),
    "explain event": ("test", "u0"),
    "explain invoice": ("acme-000001",),
    "finance": (),
    "init": ("{folder}/project",),
    "invoice": (),
    "invoices list": (),
    "invoices pdf": ("acme-000001", "--out", "{folder}/stored.pdf"),
    "invoices show": ("acme-000001",),
    "invoices xml": ("acme-000001", "--out", "{folder}/stored.xml"),
    "ledger check": (),
    "ledger export": ("--tenant", "acme"),
    "meter": (),
    "periods": (),
    "price": (),
    "prorate": (),
    "rerate apply": ("{folder}/plan.json", "--catalog", "{folder}/dearer.json"),
    "rerate plan": (
        *("--tenant", "acme", "--from", "2023-10-01", "--to", "2023-12-31", "--catalog", "{folder}/dearer.json"),
        *("--out", "{folder}/other.json"),
    ),
    "simulate": (
        *("--catalog", "{folder}/catalog.json", "--events", "{folder}/events.ndjson"),
        *("--from", "2023-11-01", "--to", "2023-12-01", "--compare", "{folder}/doubled.json"),
    ),
    "sql": (),
    "subscriptions change": ("s1", "--tenant", "acme", "--plan", "pro", "--on", "2024-01-05", "--until", "2024-03-01"),
    "subscriptions end": ("s1", "--tenant", "acme", "--on", "2024-02-01", "--yes"),
    "subscriptions list": ("--tenant", "acme"),
    "subscriptions start": (
        *("s2", "--tenant", "acme", "--customer", "c1", "--plan", "pro", "--on", "2024-01-05"),
        *("--preview", "--until", "2024-03-01"),
    ),
    "tenants add": ("zenith", "--name", "Zenith"),
    "tenants key": ("acme",),
    "tenants list": (),
    "tenants revoke": ("{key}",),
    "tenants rotate": (),
    "value accept": ("{first}", "--tenant", "acme", "--by", "carl"),
    "value approve": ("{waiting}", "--tenant", "acme", "--side", "vendor", "--by", "vera"),
    "value check": ("{folder}/model.yaml",),
    "value close": ("{closing}", "--tenant", "acme", "--as", "confirmed", "--by", "vera", "--reason", "done"),
    "value commit": (
        "{folder}/fresh.json",
        "--tenant",
        "acme",
        "--author",
        "ann",
        "--customer",
        "c1",
        "--start",
        "2024-01-01",
    ),
    "value diff": ("{folder}/model.yaml", "{folder}/fresh.json"),
    "value dispute": ("{second}", "--tenant", "acme", "--by", "carl", "--reason", "not us"),
    "value explain": ("{folder}/fresh.json", "--scenario", "agreed", "--output", "saving"),
    "value library": (),
    "value log": ("--tenant", "acme"),
    "value portfolio": ("{folder}/fresh.json", "--data", "{folder}/data.csv"),
    "value proposals": ("--tenant", "acme"),
    "value report": ("--tenant", "acme", "--commit", "{commit}", "--out", "{folder}/page.html"),
    "value run": ("{folder}/model.yaml", "--draws", "16"),
    "value schema": (),
    "value variance": ("--tenant", "acme", "--commit", "{commit}"),
    "value verify": ("--tenant", "acme"),
    "value withdraw": ("{third}", "--tenant", "acme", "--by", "vera", "--reason", "typo"),
}
TYPED = {"finance": '{"id":"a","fn":"irr","cashflows":[-100,60,60]}' + END} | {
    name: json.dumps(json.loads((CASES / f"{name}.ndjson").read_text().splitlines()[0])["input"]) + END
    for name in ("invoice", "periods", "price", "prorate")
}
TYPED["meter"] = '{"meter":{"aggregation":"count"},"period":{"from":"2024-01-01","to":"2024-02-01"},"events":[]}' + END
TYPED["subscriptions change"] = "y\n"
ANSWERS = {"sql": ("show tables;", "select 1 as one;", "select nothing;", "\x04")}
"""Typed one after the other, each at a prompt."""
CODES = {"ledger check": 1, "invoices xml": 2}
"""These invoices are not in the journal, and their tenant has no country; every other call ends with 0."""
SERVERS = {"up", "status", "logs", "down"}
"""Called in turn by a test of their own, on an installation of their own."""
AT_THE_END = {"demo", "run"}
"""Take a minute: ``test_demo.py`` and ``test_readme.py`` in ``tests/end_to_end`` run them on a terminal."""


@pytest.fixture(scope="module")
def facts(module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One installation, billed and measured, with something for each command to work on; its environment is set."""
    settings, folder = module_settings, tmp_path_factory.mktemp("terminal")
    company = _billed(settings)
    found = {"folder": str(folder)} | _agreed(company, settings)
    _files(settings, folder)
    name = f"ada{secrets.token_hex(4)}"
    analysts.add(settings, name, ["acme"])
    with connect(settings, "builder") as connection:
        found |= {"analyst": name, "key": issue_api_key(connection, "acme", name="test").split("_")[1]}
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            patch.delenv(variable, raising=False)
        for variable, value in {"TERM": "xterm-256color", **settings.environment()}.items():
            patch.setenv(variable, value)
        yield found
    for one in (name, f"{name}new"):
        with suppress(RefusalError):  # removed by a test, or never added where only some tests run
            analysts.remove(settings, one, None)


def _billed(settings: Settings) -> World:
    outcome = {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": "0.2"}
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    charges = [
        {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}},
        {"key": "value", "price": outcome},
    ]
    company = World(
        {
            "currency": "USD",
            "meters": [meter],
            "plans": [{"key": "pro", "period": {"align": "calendar"}, "charges": charges}],
        }
    )
    company.start("2023-10-01")
    for month in (10, 11, 12):
        company.use(f"2023-{month}-05", "tokens", "100")
    return company


def _agreed(company: World, settings: Settings) -> dict[str, str]:
    """Commits (active, waiting, to be closed), and three proposals of the active one."""
    run(company, settings, NOW, date(2023, 10, 1))
    commit = committed(company, settings, start="2023-10-01")
    options = {"scenario": "agreed", "seed": 1, "author": "ann", "parent": None, "reason": None}
    options |= {"customer": "c1", "start": "2023-10-01"}
    waiting, closing = (
        str(commit_model.commit(settings, "acme", json.dumps(MODEL | {"model": name}), options, None)["commit"])
        for name in ("waiting", "closing")
    )
    for side, by in (("vendor", "vera"), ("customer", "carl")):
        approve_commit.approve(settings, "acme", closing, side, by)
    # Proposed now: what was proposed in 2024 could be disputed no more.
    track_value(
        settings, Lake(settings.lake_url), date(2023, 10, 1), date(2023, 12, 1), as_of=datetime.now(UTC), run_id="test"
    )
    run(company, settings, NOW, date(2023, 10, 1))
    names = [one["proposal"] for one in fee_proposals.listed(settings, "acme", datetime.now(UTC))]
    return dict(zip(("first", "second", "third"), names, strict=True)) | {
        "commit": commit,
        "waiting": waiting,
        "closing": closing,
    }


def _files(settings: Settings, folder: Path) -> None:
    (folder / "catalog.json").write_text(json.dumps(CATALOG))
    (folder / "doubled.json").write_text(json.dumps(CATALOG).replace('"0.001"', '"0.002"'))
    (folder / "events.ndjson").write_text("\n".join([STARTED, EARLY]))
    (folder / "model.yaml").write_text(library.text("developer_time"))
    (folder / "fresh.json").write_text(json.dumps(MODEL | {"model": "fresh"}))
    measured = (("usage.tokens", 90), ("billing.invoiced_net", 1))
    months = [f"2023-{month}" for month in (10, 11, 12)] + [f"2024-0{month}" for month in range(1, 10)]
    rows = [f"{metric},c1,{month},{value}" for month in months for metric, value in measured]
    (folder / "data.csv").write_text("\n".join(["metric,customer,period,value", *rows]))
    with connect(settings, "builder") as connection:
        query = "select document from billing.invoice where number = 'acme-000001'"
        (document,) = connection.execute(query).fetchone() or ("",)
    (folder / "invoice.json").write_text(str(document))
    lake = Lake(settings.lake_url)
    _dearer(lake, folder / "dearer.json")
    asked = rerating.RerateRequest(
        ("acme",), date(2023, 10, 1), date(2023, 12, 31), (), read_catalog(folder / "dearer.json")
    )
    plan = rerating.plan(settings, lake, asked, as_of=datetime.now(UTC))[0]
    (folder / "plan.json").write_text(json.dumps(plan))


def _dearer(lake: Lake, path: Path) -> None:
    from valueverse.services.lake_tables import BILLING_FACTS_TABLE

    facts = lake.scan(BILLING_FACTS_TABLE).collect()
    (published,) = [row["data"] for row in facts.to_dicts() if row["type"] == "billing.catalog.published"]
    path.write_text(published.replace('"0.01"', '"0.02"'))


def test_every_command_is_run_on_a_terminal() -> None:
    assert set(commands()) == set(CALLS) | SERVERS | AT_THE_END


@pytest.mark.parametrize("command", commands())
def test_the_help_of_a_command_fits_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = at_terminal([*command.split(), "--help"])
    assert (faults(shown.text), shown.code) == ([], 0)
    assert f"Usage: valueverse {command}" in " ".join(shown.text.split())


@pytest.mark.parametrize("command", sorted(CALLS))
def test_a_command_works_on_a_terminal(command: str, facts: dict[str, str]) -> None:
    arguments = [one.format(**facts) for one in CALLS[command]]
    shown = at_terminal([*command.split(), *arguments], TYPED.get(command, ""), answers=ANSWERS.get(command, ()))
    assert (faults(shown.text), shown.code) == ([], CODES.get(command, 0)), shown.text


def test_servers_are_started_shown_and_stopped_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = private_folder()
    for variable in [name for name in os.environ if name.startswith("VALUEVERSE_")] + ["COLUMNS"]:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"TERM": "xterm-256color", "VALUEVERSE_HOME": str(folder / "home")}.items():
        monkeypatch.setenv(variable, value)
    expected = {
        "up": (("--only", "valkey"), "running"),
        "status": ((), "valkey"),
        "logs": (("valkey", "-n", "5"), "Ready"),
        "down": ((), "valkey stopped"),
    }
    assert set(expected) == SERVERS
    for command, (arguments, word) in expected.items():
        shown = at_terminal([command, *arguments])
        assert (faults(shown.text), shown.code) == ([], 0), shown.text
        assert word in shown.text


def test_what_is_refused_at_a_terminal_is_one_sentence(facts: dict[str, str]) -> None:
    shown = at_terminal(["value", "log", "--tenant", "nobody"])
    assert (faults(shown.text), shown.code) == ([], 2)
    assert shown.text.startswith("valueverse: no tenant 'nobody'")


def test_a_pdf_is_not_written_to_a_terminal(facts: dict[str, str]) -> None:
    shown = at_terminal(["document", f"{facts['folder']}/invoice.json"])
    assert (faults(shown.text), shown.code) == ([], 2)
    assert "--out" in shown.text


def test_the_money_comes_before_the_chart(facts: dict[str, str]) -> None:
    shown = at_terminal(["simulate", *(one.format(**facts) for one in CALLS["simulate"])])
    money, chart = shown.text.index('"difference":'), shown.text.index("difference per customer")
    assert money < chart
    assert "\u2588" in shown.text[chart:]
    only_errors = at_terminal(["simulate", *(one.format(**facts) for one in CALLS["simulate"])], stdout=False)
    assert only_errors.text.rstrip().endswith("\u2588" * 24)


def test_the_version_is_shown_and_shells_complete_commands() -> None:
    shown = at_terminal(["--version"])
    assert (shown.code, shown.text.strip()) == (0, f"valueverse {version('valueverse')}")
    assert "--install-completion" in at_terminal(["--help"]).text
