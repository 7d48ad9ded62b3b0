"""``valueverse customers`` and ``valueverse subscriptions``: events that ingestion takes, and mistakes with cures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support.ledger import World
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.settings import Settings
from valueverse.services.ingestion.check_file import check_file
from valueverse.services.lake_tables import BILLING_FACTS_TABLE
from valueverse.services.subscriptions import account_events, billing_log
from valueverse.services.subscriptions.account_events import (
    PAUSED,
    Account,
    change_subscription,
    create_customer,
    end_subscription,
    read_account,
    start_subscription,
)
from valueverse.services.subscriptions.event_names import read_quantities
from valueverse.services.subscriptions.recorded_events import record_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2024, 3, 10, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation whose lake holds a tenant in Tokyo with one customer on one plan."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    seats = {"key": "seats", "unit_amount": "5", "timing": "in_advance"}
    plans = [{"key": "pro", "fees": [seats]}, {"key": "basic", "version": 2}]
    world = World({"currency": "EUR", "timezone": "Asia/Tokyo", "plans": plans})
    world.start("2024-01-01", quantities={"seats": "3"})
    Lake(settings.lake_url).overwrite(BILLING_FACTS_TABLE, world.lake_facts())
    return settings


@pytest.fixture
def account(home: Settings, tmp_path: Path) -> Callable[[], Account]:
    return lambda: read_account(Lake(home.lake_url), tmp_path, "acme", NOW)


def started(account: Account, key: str = "s2", on: str | None = None, **fields: Any) -> account_events.PlannedEvent:
    return start_subscription(account, key, on=on, fields={"customer": "c1", "plan": "pro"} | fields)


def created(account: Account, key: str = "c2", **fields: Any) -> account_events.PlannedEvent:
    return create_customer(account, key, on=None, fields=fields, metadata={})


def test_an_event_is_a_file_that_ingestion_takes_and_is_delivered_once(
    home: Settings, tmp_path: Path, account: Callable[[], Account]
) -> None:
    settings = Settings(home=home.home, external_landing=tmp_path)
    path, written = started(account()).deliver(settings)
    assert written
    found = check_file(path, None, NOW)
    assert (found.is_clean, found.tenant, found.types["type"].to_list()) == (True, "acme", [account_events.STARTED])
    assert json.loads(path.read_text())["time"] == "2024-03-10T15:00:00Z"  # today's beginning in Tokyo
    assert started(account()).deliver(settings) == (path, False)
    path.unlink()
    (tmp_path / "acme" / "sent.ndjson").write_text(json.dumps(started(account()).event))
    assert started(account()).deliver(settings)[1] is False


def test_what_waits_in_the_landing_folder_counts(
    home: Settings, tmp_path: Path, account: Callable[[], Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=home.home, external_landing=tmp_path)
    created(account(), "zenith").deliver(settings)
    started(account(), "s9", customer="zenith").deliver(settings)
    with pytest.raises(RefusalError, match="'s9' starts at 2024-03-11: state that date or a later one by --on"):
        end_subscription(account(), "s9", on="2024-03-10")
    end = end_subscription(account(), "s9", on="2024-05-01")
    assert (end.customer, end.event["time"]) == ("zenith", "2024-04-30T15:00:00Z")
    monkeypatch.setattr(billing_log, "_LARGEST", 1)
    assert len(account().log.unread) == 2
    with pytest.raises(RefusalError, match="no subscription 's9'"):
        end_subscription(account(), "s9", on="2024-05-01")


CREATES = "`valueverse customers add c11 --tenant acme` creates it"
REFUSED: dict[str, tuple[Callable[[Account], Any], str, str]] = {
    "customer with a typo": (
        lambda one: started(one, customer="c11"), "--customer",
        f"the tenant 'acme' has no customer 'c11': did you mean 'c1'? ({CREATES})",
    ),
    "plan with a typo": (
        lambda one: started(one, plan="por"), "--plan",
        "no catalog of the tenant 'acme' has the plan 'por': did you mean 'pro'?",
    ),
    "version that is none": (
        lambda one: started(one, plan="basic", plan_version=3), "--plan",
        "the plan 'basic' has no version 3: it has 2 (--plan-version)",
    ),
    "before the catalog": (
        lambda one: started(one, on="2022-01-01"), "--plan",
        "the plan 'pro' is sold from 2023-01-01T00:00:00Z on: state that instant or a later one by --on",
    ),
    "fee with a typo": (
        lambda one: started(one, quantities={"seat": "1"}), "--quantity",
        "the plan 'pro' has no fee 'seat' with a unit_amount: did you mean 'seats'?",
    ),
    "no date": (
        lambda one: started(one, on="31.01.2024"), "--on",
        "'31.01.2024' is not an instant: write '2026-01-31T00:00:00Z', or a date for local midnight",
    ),
    "ends before it starts": (
        lambda one: started(one, on="2024-02-01", ends_at="2024-01-01"), "--ends",
        "the subscription 's2' ends at or before its start: correct ends_at",
    ),
    "a second start": (
        lambda one: started(one, "s1"), "KEY",
        "the subscription 's1' has started before: change it, or start one with a new key",
    ),
    "an amount that is none": (
        lambda one: started(one, quantities={"seats": "many"}), "--quantity", None,
    ),
    "a zone that is none": (
        lambda one: started(one, timezone="Europe/Berln"), "--timezone",
        "'Europe/Berln' is not an IANA time zone such as 'Europe/Berlin'",
    ),
    "subscription with a typo": (
        lambda one: end_subscription(one, "s11", on=None), "KEY",
        "the tenant 'acme' has no subscription 's11': did you mean 's1'?",
    ),
    "an end before the start": (
        lambda one: end_subscription(one, "s1", on="2023-06-01"), "--on",
        "the subscription 's1' starts at 2024-01-01T00:00:00Z: state that instant or a later one by --on",
    ),
    "a pause before the start": (
        lambda one: record_event(one, PAUSED, {"subscription": "s1"}, on="2024-01-01"), "--on",
        "the subscription 's1' starts at 2024-01-01T00:00:00Z: state that instant or a later one by --on",
    ),
    "a change before the start": (
        lambda one: change_subscription(one, "s1", on="2023-12-31", fields={"quantities": {"seats": "4"}}), "--on",
        "the subscription 's1' starts at 2024-01-01T00:00:00Z: state that instant or a later one by --on",
    ),
    "no change": (
        lambda one: change_subscription(one, "s1", on=None, fields={"effective": "period_end"}), "--plan",
        "state what changes: --plan, --plan-version or --quantity",
    ),
    "a change to no plan": (
        lambda one: change_subscription(one, "s1", on=None, fields={"plan": "prp"}), "--plan",
        "no catalog of the tenant 'acme' has the plan 'prp': did you mean 'pro'?",
    ),
    "a customer that is there": (
        lambda one: created(one, "c1", name="Other"), "KEY",
        "there is a customer 'c1': a billing.customer.updated event changes it (docs/events.md)",
    ),
    "a customer's key": (lambda one: created(one, "a/b"), "KEY", None),
    "a customer's key of two lines": (
        lambda one: created(one, "a\nb"), "KEY", r"'a\nb' is not 1 to 128 printable characters without '/'",
    ),
    "a customer's key that is too long": (
        lambda one: created(one, "x" * 256), "KEY", f"'{'x' * 60}' is not 1 to 128 printable characters without '/'",
    ),
    "a subscription's key that is too long": (
        lambda one: started(one, "x" * 256), "KEY", f"'{'x' * 60}' is not 1 to 128 printable characters without '/'",
    ),
    "a currency that is none": (lambda one: created(one, currency="EURO"), "--currency", None),
    "a country that is none": (
        lambda one: created(one, country="ZZ"), "--country",
        "'ZZ' is no country of ISO 3166-1: write two capitals like 'DE'",
    ),
    "a code of a country that has another": (
        lambda one: created(one, country="UK"), "--country",
        "'UK' is no country of ISO 3166-1: did you mean 'GB' (United Kingdom)?",
    ),
    "the name of a country": (
        lambda one: created(one, country="Germny"), "--country",
        "'Germny' is no country of ISO 3166-1: did you mean 'DE' (Germany)?",
    ),
    "a country in small letters": (
        lambda one: created(one, country="de"), "--country",
        "'de' is no country of ISO 3166-1: did you mean 'DE' (Germany)?",
    ),
    "a quantity without a number": (
        lambda _: read_quantities(["seats"]), "--quantity",
        "'seats' is no quantity of a fee: write FEE=NUMBER, as in seats=5",
    ),
    "a quantity given twice": (
        lambda _: read_quantities(["seats=3", "seats=4"]), "--quantity",
        "the quantity of 'seats' is given twice: give one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("country", ["DE", "XK", "SS", "TW", "AX"])
def test_every_country_is_taken(country: str, account: Callable[[], Account]) -> None:
    assert created(account(), country=country).event["data"]["country"] == country


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_names_the_option_and_the_cure_and_delivers_nothing(
    mistake: str, account: Callable[[], Account], tmp_path: Path
) -> None:
    attempt, place, message = REFUSED[mistake]
    with pytest.raises(RefusalError) as refused:
        attempt(account())
    assert refused.value.path == place
    assert message in {None, refused.value.message}
    assert list(tmp_path.iterdir()) == []


def test_a_second_change_from_the_same_instant_on_is_refused_until_the_first_is_voided(
    home: Settings, tmp_path: Path, account: Callable[[], Account]
) -> None:
    settings = Settings(home=home.home, external_landing=tmp_path)

    def changed(seats: str, on: str = "2024-04-01") -> account_events.PlannedEvent:
        return change_subscription(account(), "s1", on=on, fields={"quantities": {"seats": seats}})

    first = changed("4")
    first.deliver(settings)
    assert changed("4").deliver(settings)[1] is False
    assert not changed("5", "2024-04-02").known
    with pytest.raises(RefusalError) as refused:
        changed("5")
    assert (refused.value.code, refused.value.path) == ("already_stated", "--on")
    assert f"a change of 's1' from that instant on is there already (event {first.event['id']!r}" in str(refused.value)
    void = first.event | {"id": "void", "replaces": first.event["id"], "data": None}
    (tmp_path / "acme" / "void.ndjson").write_text(json.dumps(void))
    changed("5").deliver(settings)
    end_subscription(account(), "s1", on="2024-04-02").deliver(settings)
    with pytest.raises(RefusalError, match="'s1' ends at that instant") as ended:
        changed("6", "2024-04-02")
    assert (ended.value.code, ended.value.path) == ("already_ended", "--on")


def test_what_was_voided_can_be_stated_again_under_another_id(
    home: Settings, tmp_path: Path, account: Callable[[], Account]
) -> None:
    settings = Settings(home=home.home, external_landing=tmp_path)

    def planned() -> tuple[account_events.PlannedEvent, ...]:
        now = account()
        change = change_subscription(now, "s1", on="2024-04-01", fields={"quantities": {"seats": "4"}})
        return change, created(now)

    first = planned()
    for one in first:
        one.deliver(settings)
        void = one.event | {"id": f"void {one.event['id']}", "replaces": one.event["id"], "data": None}
        (tmp_path / "acme" / f"void-{one.file}").write_text(json.dumps(void))
    again = planned()
    assert [one.event["id"] for one in again] == [f"{one.event['id']}/2" for one in first]
    assert [one.deliver(settings)[1] for one in again] == [True, True]
    assert [(one.event["id"], one.known) for one in planned()] == [(one.event["id"], True) for one in again]


def test_a_mistake_in_a_change_now_is_about_the_plan_that_runs_and_not_the_planned_one(
    home: Settings, tmp_path: Path, account: Callable[[], Account]
) -> None:
    planned = {"plan": "basic", "effective": "period_end"}
    change_subscription(account(), "s1", on="2024-03-05", fields=planned).deliver(
        Settings(home=home.home, external_landing=tmp_path)
    )
    for effective, plan in (("now", "pro"), ("period_end", "basic")):
        fields = {"quantities": {"seat": "4"}, "effective": effective}
        with pytest.raises(RefusalError, match=f"the plan '{plan}' has no fee 'seat'"):
            change_subscription(account(), "s1", on="2024-03-06", fields=fields)


def test_an_unknown_tenant_is_refused_with_the_nearest_one(home: Settings, tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="'acm': did you mean 'acme'"):
        read_account(Lake(home.lake_url), tmp_path, "acm", NOW)
    with pytest.raises(RefusalError, match="not a tenant key"):
        read_account(Lake(home.lake_url), tmp_path, "../acme", NOW)


def test_commands_deliver_without_a_server_and_a_preview_asks_for_it(home: Settings, tmp_path: Path) -> None:
    environment = {"VALUEVERSE_HOME": str(home.home), "VALUEVERSE_LANDING": str(tmp_path)}

    def called(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments, "--tenant", "acme"], env=environment)

    added = called("customers", "add", "c3", "--tax-id", "DE1", "--city", "Bonn", "--json")
    answer = json.loads(added.stdout)
    assert answer["delivered"]
    assert answer["event"]["data"] == {"customer": "c3", "metadata": {"tax_id": "DE1", "address": {"city": "Bonn"}}}
    again = called("customers", "add", "c3", "--tax-id", "DE1", "--city", "Bonn", "--json")
    assert json.loads(again.stdout) == answer | {"delivered": False}
    start = ("subscriptions", "start", "s3", "--customer", "c3", "--plan", "pro", "--quantity", "seats=2")
    assert "waits in" in called(*start).stderr
    assert "was delivered before" in called(*start).stderr
    previewed = called(*start, "--preview")
    assert isinstance(previewed.exception, RefusalError)
    assert "valueverse up" in previewed.exception.message
