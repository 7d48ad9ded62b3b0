"""``valueverse tenants``: tenants, their first key, further keys, revocation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from valueverse.commands.servers import tenants
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import issue_api_key, verify_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from click.testing import Result

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return settings


def run(*arguments: str) -> Result:
    app = typer.Typer()
    tenants.register(app)
    return CliRunner().invoke(app, ["tenants", *arguments])


def refusal(*arguments: str) -> RefusalError:
    error = run(*arguments).exception
    assert isinstance(error, RefusalError), error
    return error


def opened_by(settings: Settings, key: str) -> str | None:
    with connect(settings, "builder") as connection:
        return verify_api_key(connection, key)


def test_a_tenant_is_added_as_an_event_with_one_key_alone_on_standard_output(world: Settings) -> None:
    result = run("add", "acme.co-1", "--name", "Ácme", "--timezone", "Europe/Berlin", "--currency", "EUR")
    assert result.exit_code == 0, result.exception
    assert opened_by(world, result.stdout.strip()) == "acme.co-1"
    (file,) = (world.landing / "acme.co-1").iterdir()
    assert file.name == "tenant-created.ndjson"
    event = json.loads(file.read_text(encoding="utf-8"))
    assert event["type"] == "billing.tenant.created"
    assert event["tenant"] == "acme.co-1"
    assert event["data"] == {
        "tenant": "acme.co-1",
        "name": "Ácme",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
    }
    assert event["time"].endswith("Z")


def test_programs_get_each_answer_as_json(world: Settings) -> None:
    added = json.loads(run("add", "acme", "--name", "Acme", "--json").stdout)
    assert (added["tenant"], opened_by(world, added["key"])) == ("acme", "acme")
    further = json.loads(run("key", "acme", "--json").stdout)["key"]
    prefix = json.loads(run("list", "--json").stdout.splitlines()[0])["key"]
    revoked = json.loads(run("revoke", prefix, "--json").stdout)
    assert revoked == {"tenant": "acme", "revoked": prefix}
    assert sorted(key for key in (added["key"], further) if opened_by(world, key) is None) != []
    assert json.loads(run("rotate", "--json").stdout).keys() == {"signing_key"}


def test_a_tenant_is_not_added_twice(world: Settings) -> None:
    run("add", "acme", "--name", "Acme")
    error = refusal("add", "acme", "--name", "Acme")
    assert error.code == "tenant_exists"
    assert "tenants key acme" in error.message


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("UPPER", "--name", "x"), "bad_tenant"), (("../evil", "--name", "x"), "bad_tenant"), (("ok",
        "--name", " "), "bad_name"),
        (("ok", "--name", "x", "--timezone", "Mars/Base"), "bad_timezone"),
        (("ok", "--name", "x", "--timezone", "../../etc/passwd"), "bad_timezone"),
        (("ok", "--name", "x", "--currency", "XXQ"), "unknown_currency"),
    ],
)  # fmt: skip
def test_a_tenant_that_cannot_be_is_refused_and_leaves_nothing(
    world: Settings, arguments: tuple[str, ...], code: str
) -> None:
    assert refusal("add", *arguments).code == code
    assert list(world.landing.iterdir()) == []


def listed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("list", "--json").stdout.splitlines()]


def test_more_keys_with_chosen_scopes_and_no_unknown_ones(world: Settings) -> None:
    run("add", "acme", "--name", "Acme")
    key = run("key", "acme", "--scopes", "billing:read, audit:read", "--name", "dashboard").stdout.strip()
    assert opened_by(world, key) == "acme"
    [one] = [row for row in listed() if row["purpose"] == "dashboard"]
    assert (one["scopes"], one["state"], one["key"]) == ("audit:read, billing:read", "valid", key.split("_")[1])
    assert key not in run("list", "--json").stdout
    assert refusal("key", "acme", "--scopes", "everything").code == "bad_scope"
    assert refusal("key", "acme", "--scopes", "").code == "bad_scope"
    assert refusal("key", "nobody").code == "unknown_tenant"


def test_a_revoked_key_opens_nothing(world: Settings) -> None:
    key = run("add", "acme", "--name", "Acme").stdout.strip()
    prefix = key.split("_")[1]
    assert run("revoke", prefix).exit_code == 0
    assert opened_by(world, key) is None
    assert [one["state"] for one in listed()] == ["revoked"]
    assert refusal("revoke", prefix).code == "unknown_key"


def test_tenants_from_ingestion_are_listed_without_a_key(world: Settings) -> None:
    with connect(world, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('cedar', 'Cedar', 'UTC', 'USD')"
        )
    assert listed() == [
        {"tenant": "cedar", "name": "Cedar", "timezone": "UTC", "currency": "USD"}
        | dict.fromkeys(("key", "state", "scopes", "purpose"))
    ]
    assert run("list").stdout.split()[-8:] == ["cedar", "Cedar", "UTC", "USD", "-", "-", "-", "-"]


def test_rotation_names_the_new_signing_key(world: Settings) -> None:
    first, second = run("rotate").stdout, run("rotate").stdout
    assert first.startswith("signing with ")
    assert first != second
    assert len(list((world.home / "keys").glob("*.pem"))) == 2


def test_a_key_says_nothing_when_it_is_made_for_a_bad_tenant(world: Settings) -> None:
    with connect(world, "builder") as connection, pytest.raises(RefusalError, match="not a tenant key"):
        issue_api_key(connection, "Not A Tenant")
