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
from tests.support import commits
from tests.support.help_examples import examples, run_example, steps
from tests.support.ledger import World
from tests.support.people import add_person
from tests.support.shared_servers import private_folder
from tests.support.terminal import at_terminal, commands, faults
from tests.support.warehouse_billing import run
from valueverse.errors import RefusalError
from valueverse.platform.access import analysts
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.audit.checkpoints import public_key
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import exported
from valueverse.services.billing import rerate as rerating
from valueverse.services.simulation.simulate import read_catalog
from valueverse.services.value.track_value import track_value
from valueverse.services.webhooks import endpoints as webhooks
from valueverse.value import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

NOW = datetime(2024, 1, 5, tzinfo=UTC)

MEANT = {
    "ada": "{analyst}",
    "k3x9q2m4ab7c": "{key}",
    "we_0123456789abcdef01234567": "{endpoint}",
    "we_89abcdef0123456701234567": "{unused}",
    "48213": "{delivery}",
    "api-gateway": "test",
    "req-000017": "u0",
    "3f28c1a5": "{commit}",
    "7d90b41c": "{waiting}",
    "52ce6e07": "{closing}",
    "9b1de0f2": "{first}",
    "4c77aa31": "{second}",
    "e01f52d8": "{third}",
}
"""Ids in examples, and what they are in the installation of these tests."""
CODES = {"ledger check": 1, "invoices xml": 2}
"""These invoices are not in the journal, and their tenant has no country; every other call ends with 0."""
SERVERS = ("up", "status", "logs", "down")
"""Called in turn by a test of their own, on an installation of their own."""
ELSEWHERE = {
    "demo": "tests/end_to_end/test_demo.py",
    "run": "tests/end_to_end/test_readme.py",
    **dict.fromkeys(
        ("identity-provider set", "identity-provider remove"),
        "tests/commands/servers/test_identity_provider_command.py",
    ),
    "privacy rotate-wrapping-key": "tests/commands/privacy/test_keys.py",
    **dict.fromkeys(
        (
            *("privacy erase", "privacy restrict", "privacy release"),
            *("privacy add-instrument", "privacy reveal-instrument", "privacy remove-instrument"),
        ),
        "tests/commands/privacy/test_privacy_commands.py",
    ),
    "valueverse status --watch": "tests/services/operations/test_installation_status.py",
    "valueverse invoices pdf acme-000001 --credit-note crm#7 --out credit.pdf": (
        "tests/services/billing/test_stored_invoices.py"
    ),
}
"""Commands and examples that take a minute or no end, a journal, a provider or secrets of their own, and their test."""
EXAMPLES = examples()
RUN_HERE = [name for name in sorted(EXAMPLES) if name not in SERVERS and name not in ELSEWHERE]


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
    add_person(settings, "viewer", email="bob@example.com")
    endpoints = [webhooks.add_endpoint(settings, "acme", "https://example.com/hooks", [])["endpoint"] for _ in range(2)]
    found |= {"endpoint": endpoints[0], "unused": endpoints[1]}
    found["delivery"] = str(webhooks.send_test(settings, "acme", endpoints[0]))
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            patch.delenv(variable, raising=False)
        for variable, value in {"TERM": "xterm-256color", **settings.environment()}.items():
            patch.setenv(variable, value)
        patch.chdir(folder)
        yield found
    with suppress(RefusalError):  # removed by a test
        analysts.remove(settings, name, None)


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
        str(commits.commit(settings, "acme", json.dumps(MODEL | {"model": name}), options, None)["commit"])
        for name in ("waiting", "closing")
    )
    for side, by in (("vendor", "vera"), ("customer", "carl")):
        commits.approve(settings, "acme", closing, side, by)
    # Proposed now: what was proposed in 2024 could be disputed no more.
    track_value(
        settings, Lake(settings.lake_url), date(2023, 10, 1), date(2023, 12, 1), as_of=datetime.now(UTC), run_id="test"
    )
    run(company, settings, NOW, date(2023, 10, 1))
    names = [one["proposal"] for one in commits.listed(settings, "acme", datetime.now(UTC))]
    return dict(zip(("first", "second", "third"), names, strict=True)) | {
        "commit": commit,
        "waiting": waiting,
        "closing": closing,
    }


def _files(settings: Settings, folder: Path) -> None:
    measured = (("usage.tokens", 90), ("billing.invoiced_net", 1))
    months = [f"2023-{month}" for month in (10, 11, 12)] + [f"2024-0{month}" for month in range(1, 10)]
    rows = [f"{metric},c1,{month},{value}" for month in months for metric, value in measured]
    with connect(settings, "builder") as connection:
        query = "select document from billing.invoice where number = 'acme-000001'"
        (document,) = connection.execute(query).fetchone() or ("",)
    lake = Lake(settings.lake_url)
    fresh = json.dumps(MODEL | {"model": "fresh"})
    texts = {
        "catalog.yaml": json.dumps(CATALOG),
        "dearer.yaml": json.dumps(CATALOG).replace('"0.001"', '"0.002"'),
        "new.yaml": _dearer(lake),
        "events.ndjson": "\n".join([STARTED, EARLY]),
        "model.yaml": library.text("support_deflection"),
        "signed.yaml": library.text("developer_time"),
        "proposed.yaml": fresh,
        "agreed.yaml": fresh,
        "metrics.csv": "\n".join(["metric,customer,period,value", *rows]),
        "invoice.json": str(document),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    asked = rerating.RerateRequest(
        ("acme",), date(2023, 10, 1), date(2023, 12, 31), (), read_catalog(folder / "new.yaml")
    )
    plan = rerating.plan(settings, lake, asked, as_of=datetime.now(UTC))[0]
    (folder / "plan.json").write_text(json.dumps(plan))
    sign_log(settings, whole=True)
    audit = exported(settings, "acme")
    (folder / "acme-audit.json").write_text(json.dumps(audit))
    (folder / "note").write_text(audit["checkpoints"][-1])
    (folder / "audit-key.pem").write_text(public_key(settings))


def _dearer(lake: Lake) -> str:
    from valueverse.services.lake_tables import BILLING_FACTS_TABLE

    facts = lake.scan(BILLING_FACTS_TABLE).collect()
    (published,) = [row["data"] for row in facts.to_dicts() if row["type"] == "billing.catalog.published"]
    return str(published).replace('"0.01"', '"0.02"')


def test_the_help_of_every_command_has_an_example_that_a_test_runs() -> None:
    without = [
        name
        for name in commands()
        if not any(
            step.words[: len(name.split())] == tuple(name.split()) for one in EXAMPLES[name] for step in steps(one)
        )
    ]
    assert without == [], "end its help with a line: [dim]valueverse ...[/dim]"
    root = Path(__file__).parents[2]
    assert [path for path in ELSEWHERE.values() if not (root / path).exists()] == []


@pytest.mark.parametrize("command", commands())
def test_the_help_of_a_command_fits_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = at_terminal([*command.split(), "--help"])
    assert (faults(shown.text), shown.code) == ([], 0)
    assert f"Usage: valueverse {command}" in " ".join(shown.text.split())


@pytest.mark.parametrize("command", RUN_HERE)
def test_the_examples_of_a_commands_help_work_on_a_terminal(command: str, facts: dict[str, str]) -> None:
    meant = {word: name.format(**facts) for word, name in MEANT.items()}
    for example in EXAMPLES[command]:
        if example in ELSEWHERE:
            continue
        shown = run_example(example, meant)
        assert (faults(shown.text), shown.code) == ([], CODES.get(command, 0)), f"{example}: {shown.text}"


def test_servers_are_started_shown_and_stopped_as_their_help_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = private_folder()
    for variable in [name for name in os.environ if name.startswith("VALUEVERSE_")] + ["COLUMNS"]:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"TERM": "xterm-256color", "VALUEVERSE_HOME": str(folder / "home")}.items():
        monkeypatch.setenv(variable, value)
    for command, word in zip(SERVERS, ("running", "valkey", "Ready", "valkey stopped"), strict=True):
        shown = run_example(EXAMPLES[command][0], {})
        assert (faults(shown.text), shown.code) == ([], 0), shown.text
        assert word in shown.text
        if command == "logs":
            lines = [json.loads(line) for line in at_terminal(["logs", "valkey", "--json"]).text.splitlines()]
            assert {one["server"] for one in lines} == {"valkey"}
    assert at_terminal(["down", "--json"]).text == ""


def test_statements_are_answered_at_a_prompt(facts: dict[str, str]) -> None:
    shown = at_terminal(["sql"], answers=("show tables;", "select 1 as one;", "select nothing;", "\x04"))
    assert (faults(shown.text), shown.code) == ([], 0), shown.text


def test_a_change_is_previewed_and_delivered_after_a_question(facts: dict[str, str]) -> None:
    change = ["subscriptions", "change", "s1", "--tenant", "acme", "--plan", "pro", "--on", "2024-01-06"]
    asked = at_terminal([*change, "--until", "2024-03-01"], "n\n")
    assert (faults(asked.text), asked.code) == ([], 1), asked.text
    assert "invoices of c1 that close up to 2024-03-01" in asked.text
    assert "waits in" in at_terminal([*change, "--until", "2024-03-01"], "y\n").text
    assert "was delivered before" in at_terminal([*change, "--yes"]).text


def test_what_is_refused_at_a_terminal_is_one_sentence(facts: dict[str, str]) -> None:
    shown = at_terminal(["value", "log", "--tenant", "nobody"])
    assert (faults(shown.text), shown.code) == ([], 2)
    assert shown.text.startswith("valueverse: no tenant 'nobody'")


def test_a_pdf_is_not_written_to_a_terminal(facts: dict[str, str]) -> None:
    shown = at_terminal(["document", "invoice.json"])
    assert (faults(shown.text), shown.code) == ([], 2)
    assert "--out" in shown.text


def test_a_comparison_is_a_table_and_a_chart_at_a_terminal_and_json_elsewhere(facts: dict[str, str]) -> None:
    compared = [*EXAMPLES["simulate"][0].split()[1:], "--compare", "dearer.yaml"]
    shown = at_terminal(compared)
    places = [shown.text.index(part) for part in ("+1.3 %", "1 of 1 pay more USD", "difference per customer", "next:")]
    assert (places, faults(shown.text)) == (sorted(places), [])
    assert '"difference"' not in shown.text
    machine = at_terminal([*compared, "--json"])
    assert json.loads(machine.text.splitlines()[-1])["difference"] == "0.34"
    only_errors = at_terminal(compared, stdout=False)
    assert "\u2588" * 20 in only_errors.text
    alone = at_terminal(compared[:-2])
    assert "2023-11-01..2023-11-30" in alone.text
    assert '"total"' not in alone.text


def test_a_re_rating_plan_is_a_table_at_a_terminal_with_the_command_that_comes_next(facts: dict[str, str]) -> None:
    asked = [
        "rerate",
        "plan",
        "--tenant",
        "acme",
        "--from",
        "2023-10-01",
        "--to",
        "2023-12-31",
        "--catalog",
        "new.yaml",
    ]
    shown = at_terminal(asked)
    assert "valueverse rerate plan --tenant acme --from 2023-10-01 --to 2023-12-31" in shown.text
    assert '"plan_id"' not in shown.text
    machine = at_terminal([*asked, "--json"])
    plan = json.loads(machine.text)
    written = at_terminal([*asked, "--customer", "c1", "--out", "my plan.json"])
    assert "valueverse rerate apply 'my plan.json' --catalog new.yaml" in written.text
    assert f"{plan['totals'][0]['difference']} USD" in shown.text
    nothing = at_terminal(["rerate", "show", "plan.json", "--out", "/nowhere/plan.html"])
    assert (nothing.code, "[cannot_write]" in nothing.text) == (2, True)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("subscriptions list", ("subscription", "2023-10-01", "active")),
        ("invoices list", ("acme-000001", "finalised", "1.00", "USD")),
        ("value log --tenant acme", ("saved", "active", "closing")),
        ("value proposals --tenant acme", ("s1/value/2023-10..2023-10/1", "USD")),
        ("value verify --tenant acme", ("hold", "commits", "--head")),
        ("audit list --tenant acme", ("invoice.finalised", "acme-000001", "system")),
        ("ledger check --tenant acme", ("debits_equal_credits", "wrong")),
    ],
)
def test_lists_are_tables_that_break_no_word_at_a_terminal_and_json_with_the_option(
    command: str, words: tuple[str, ...], facts: dict[str, str]
) -> None:
    shown = at_terminal(command.split())
    assert max(map(len, shown.text.splitlines())) <= 80
    assert set(words) <= set(shown.text.split()), shown.text
    rows = [json.loads(line) for line in at_terminal([*command.split(), "--json"]).text.splitlines()]
    assert rows
    assert all(isinstance(row, dict) for row in rows)


def test_a_broken_chain_of_commits_is_shown_with_its_row_at_a_terminal(facts: dict[str, str]) -> None:
    shown = at_terminal(["value", "verify", "--tenant", "acme", "--head", "0" * 64])
    assert (shown.code, faults(shown.text)) == (1, [])
    assert "do not hold" in shown.text
    assert "head_not_found" in shown.text


def test_the_version_is_shown_and_shells_complete_commands() -> None:
    shown = at_terminal(["--version"])
    assert (shown.code, shown.text.strip()) == (0, f"valueverse {version('valueverse')}")
    assert "--install-completion" in at_terminal(["--help"]).text
