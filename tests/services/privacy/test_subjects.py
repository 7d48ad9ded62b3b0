"""Export, restriction and erasure of what is stored about a customer, on real Postgres and a real lake."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.card_scan import places_with
from tests.support.inbox import receive
from tests.support.landing import event
from tests.support.protection import own_secrets
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.protection import Cell, DataKeys, wrapping_of
from valueverse.platform.stores import privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import verify_log
from valueverse.services.billing.run_billing import bill
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.privacy.erase_subject import erase_subject
from valueverse.services.privacy.erasure_register import forgotten, register
from valueverse.services.privacy.export_subject import SubjectExport, export_subject
from valueverse.services.privacy.restrict_subject import (
    end_retention,
    release_subject,
    restrict_subject,
    restricted_subjects,
)
from valueverse.services.usage.derive_usage import derive_facts, meter
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2024, 6, 2, 12, tzinfo=UTC)
FEE = {"key": "base", "amount": "10", "timing": "in_arrears"}
CATALOG = {
    "schema": "valueverse.catalog/v1", "currency": "EUR",
    "meters": [{"key": "calls", "event_type": "call", "aggregation": "sum", "value": "n"}],
    "plans": [
        {"key": "pro", "period": {"align": "calendar"}, "fees": [FEE],
         "charges": [{"key": "usage", "meter": "calls", "price": {"model": "standard", "unit": "0.10"}}]},
    ],
}  # fmt: skip
SECRETS = ("Ada Lovelace", "ada@example.org", "Ockham Park 1", "DE123456789", "Countess")
"""Personal values of acme's customer c1, the last in a refused line alone."""
OTHERS = "Grace Hopper"
"""In the name of another customer, and of another tenant's c1."""


def billing(key: str, kind: str, time: str, **data: Any) -> dict[str, Any]:
    return event(key, data, type=f"billing.{kind}", time=f"{time}T00:00:00Z") | {"subject": "x"}


def company(tenant: str) -> list[dict[str, Any]]:
    ada = tenant == "acme"
    metadata = {"tax_id": SECRETS[3], "address": {"street": SECRETS[2]}} if ada else {}
    return [
        billing("t", "tenant.created", "2024-01-01", tenant=tenant, name=tenant),
        billing("cat", "catalog.published", "2024-01-01", **CATALOG),
        billing("c", "customer.created", "2024-01-01", customer="c1", name=SECRETS[0] if ada else OTHERS,
                email=SECRETS[1] if ada else None, country="DE", tax_rates=["8.10"], metadata=metadata),
        billing("o", "customer.created", "2024-01-01", customer="c10", name=OTHERS),
        *(billing(f"s-{one}", "subscription.started", "2024-01-01", subscription=f"s-{one}", customer=one, plan="pro")
          for one in ("c1", "c10")),
        *(event(f"u-{one}", {"n": 7}, subject=one, time="2024-01-15T00:00:00Z") for one in ("c1", "c10")),
        billing("bad", "customer.updated", "2024-01-02", customer="c1", country="X",
                name=SECRETS[4] if ada else OTHERS),
    ]  # fmt: skip


def land(settings: Settings, name: str, lines: list[dict[str, Any]]) -> None:
    path = settings.landing / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Settings:
    """Two tenants, each billed for January, with two customers; acme's c1 is Ada."""
    own = own_secrets(settings, tmp_path)
    for tenant in ("acme", "birch"):
        land(own, f"{tenant}/start.ndjson", company(tenant))
    lake = Lake(own.lake_url)
    run_ingestion(own, lake, BEGINNING, NOW)
    derive_facts(lake)
    meter(lake, [date(2024, 1, 15)])
    bill_again(own, lake)
    with connect(own, "builder") as connection:
        cell = Cell("acme", "c1", "vault.probe", "value", ("1",))
        DataKeys(connection, wrapping_of(own)).seal([(cell, SECRETS[0].encode())])
        connection.execute(
            "insert into inbox.answer (tenant_id, key_hash, fingerprint, status, body) "
            "values ('acme', sha256('k'), sha256('f'), 201, %s)",
            [json.dumps({"name": SECRETS[0]}).encode()],
        )
        connection.execute(
            "insert into billing.earlier_state select tenant_id, 'customer', customer, customer, now(), "
            "jsonb_build_object('name', name, 'metadata', metadata) from billing.customer"
        )
        connection.execute(
            "create table marts.dim_customer as select tenant_id, customer as customer_key, name as customer_name, "
            "email, metadata from billing.customer"
        )
    return own


def bill_again(settings: Settings, lake: Lake) -> None:
    bill(settings, lake, date(2024, 1, 1), date(2024, 1, 1), as_of=NOW, run_id="test")


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(query.encode()).fetchall()


def secrets_in(settings: Settings) -> dict[str, list[str]]:
    """Table or file -> personal values of Ada that stand in it, in all that is stored."""
    return places_with(settings, lambda text: [one for one in SECRETS if one in text])


INVOICES = "select tenant_id, number, document, content_hash, chain_hash from billing.invoice order by 1, sequence"


def test_after_an_erasure_nothing_personal_is_stored_and_what_was_billed_stays_provable(world: Settings) -> None:
    before = secrets_in(world)
    assert {place.split("/")[0] for place in before} >= {
        "billing.customer",
        "billing.earlier_state",
        "marts.dim_customer",
        "inbox.answer",
        "lake",
        "landing",
    }
    assert {found for places in before.values() for found in places} == set(SECRETS), "the search finds each of them"
    invoices, customers = (
        rows(world, INVOICES),
        rows(world, "select * from billing.customer where name = 'Grace Hopper'"),
    )
    lake = Lake(world.lake_url)
    usage = lake.scan(EVENTS_TABLE).filter(type="call").collect()

    done = erase_subject(world, "acme", "c1", LATER)

    assert secrets_in(world) == {}
    with connect(world, "admin") as connection:
        assert forgotten(world, connection) == []
        connection.execute("delete from vault.erasure")  # as in a database that was put back from before
        lost = [{"tenant": "acme", "customer": "c1", "begun_at": LATER.isoformat()}]
        assert forgotten(world, connection) == lost
        again = "insert into vault.erasure (tenant_id, customer, begun_at, finished_at) values ('acme', 'c1', %s, %s)"
        connection.execute(again, [LATER - timedelta(days=1), LATER])
        assert forgotten(world, connection) == lost, "an erasure before it does not stand for it"
        connection.execute(again, [LATER + timedelta(days=1), LATER + timedelta(days=1)])
        assert forgotten(world, connection) == [], "repeated, it is done"
        connection.execute("delete from vault.erasure")
        register_file = world.audit_dir / "erasures.ndjson"
        register_file.write_bytes(register_file.read_bytes() + b'{"tenant":"acme","cus')
        register(world, "acme", "c2", LATER)
        assert forgotten(world, connection) == [*lost, lost[0] | {"customer": "c2"}], "what was cut off ends alone"
        connection.rollback()
    assert (done.keys, done.deliveries, done.retain_until) == (1, ["acme/start.ndjson"], date(2034, 12, 31))
    assert done.rows["lake.events"] == done.rows["lake.quarantine"] == done.rows["billing.customer"] == 1
    assert done.rows["billing.earlier_state"] == 1
    assert rows(world, INVOICES) == invoices
    assert rows(world, "select * from billing.customer where name = 'Grace Hopper'") == customers
    assert lake.scan(EVENTS_TABLE).filter(type="call").collect().equals(usage)
    stated = lake.scan(EVENTS_TABLE).filter(tenant="acme", id="c").collect()["data"][0]
    assert json.loads(stated) == {"customer": "c1", "country": "DE", "tax_rates": ["8.10"]}

    derive_facts(lake)
    bill_again(world, lake)
    assert rows(world, INVOICES) == invoices, "billed again from what is left, to the same bytes"
    assert rows(world, "select name, country from billing.customer where tenant_id = 'acme' and customer = 'c1'") == [
        ("c1", "DE")
    ]
    land(world, "acme/again.ndjson", company("acme")[:-1])
    assert run_ingestion(world, lake, LATER, LATER).counts()["duplicate"] == 8, "sent again, it is known and not taken"
    assert set(secrets_in(world)) == {"landing/acme/again.ndjson"}

    sign_log(world, whole=True)
    bundle, wrong, unsigned = verify_log(world, "acme")
    assert (wrong, unsigned) == ([], 0)
    entries = [json.loads(entry) for entry in bundle.entries if b"privacy." in entry]
    assert [(one["action"], one["digest"], one["object"][:2]) for one in entries] == [
        ("privacy.erased", done.digest, "p:")
    ]
    (evidence,) = rows(world, "select evidence from vault.privacy_action where action = 'erased'")
    assert hashlib.sha256(evidence[0].encode()).hexdigest() == done.digest


def test_an_export_is_all_that_is_stored_and_after_an_erasure_what_is_retained(world: Settings) -> None:
    made = export_subject(world, "acme", "c1", NOW)
    parts = unpacked(made)
    assert {
        "billing.customer",
        "billing.invoice",
        "billing.invoice_line",
        "billing.usage_daily",
        "lake.events",
        "lake.quarantine",
    } <= set(parts)
    assert len(parts["lake.events"]) == 3, "created, started, used"
    whole = json.dumps(parts, ensure_ascii=False)
    assert all(one in whole for one in SECRETS)
    assert OTHERS not in whole
    assert export_subject(world, "acme", "c1", NOW).manifest["parts"] != made.manifest["parts"], (
        "the export before is in it"
    )

    erase_subject(world, "acme", "c1", LATER)
    after = unpacked(export_subject(world, "acme", "c1", LATER))
    assert after["retained"] == [{"name": SECRETS[0], "email": SECRETS[1], "country": "DE",
                                  "metadata": {"tax_id": SECRETS[3], "address": {"street": SECRETS[2]}}}]  # fmt: skip
    assert not any(one in json.dumps({**after, "retained": None}, ensure_ascii=False) for one in SECRETS)

    assert end_retention(world, date(2034, 12, 31)) == []
    assert [(one["tenant"], one["customer"]) for one in end_retention(world, date(2035, 1, 1))] == [("acme", "c1")]
    assert "retained" not in unpacked(export_subject(world, "acme", "c1", LATER))
    assert rows(world, "select count(*) from vault.data_key where wrapped is not null") == [(0,)]


def unpacked(made: SubjectExport) -> dict[str, list[Any]]:
    """Parts of an archive, judged by the hashes of its manifest."""
    with zipfile.ZipFile(io.BytesIO(made.archive)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest == made.manifest
        texts = {part["name"]: archive.read(part["name"]) for part in manifest["parts"]}
        assert set(archive.namelist()) == {*texts, "manifest.json"}
    for part in manifest["parts"]:
        assert (hashlib.sha256(texts[part["name"]]).hexdigest(), texts[part["name"]].count(b"\n")) == (
            part["sha256"],
            part["rows"],
        )
    return {
        name.removesuffix(".ndjson"): [json.loads(line) for line in text.splitlines()] for name, text in texts.items()
    }


def test_a_restriction_stops_an_erasure_until_it_is_released_and_exports_say_so(world: Settings) -> None:
    assert restrict_subject(world, "acme", "c1", " dispute 17 ")
    assert not restrict_subject(world, "acme", "c1", "another"), "the first reason stays"
    assert [(one["customer"], one["reason"]) for one in restricted_subjects(world, "acme")] == [("c1", "dispute 17")]
    assert export_subject(world, "acme", "c1", NOW).manifest["restricted"]
    with pytest.raises(RefusalError, match=r"on hold since .* \(dispute 17\)") as refused:
        erase_subject(world, "acme", "c1", LATER)
    assert refused.value.code == "restricted"
    assert "Ada Lovelace" in str(rows(world, "select name from billing.customer"))
    erase_subject(world, "birch", "c1", LATER)
    release_subject(world, "acme", "c1")
    with pytest.raises(RefusalError, match="not on hold"):
        release_subject(world, "acme", "c1")
    erase_subject(world, "acme", "c1", LATER)
    actions = rows(world, "select action from vault.privacy_action where tenant_id = 'acme' order by action_id")
    assert [action for (action,) in actions] == ["restricted", "exported", "released", "erased"]
    with connect(world, "builder") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("update vault.privacy_action set evidence = ''")


def test_an_erasure_that_was_stopped_is_gone_on_with_and_loses_nothing_that_is_retained(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(privacy_store, "erase_customer", stopped)
        with pytest.raises(KeyboardInterrupt):
            erase_subject(world, "acme", "c1", LATER)
    assert "Ada Lovelace" in str(rows(world, "select name from billing.customer"))
    erase_subject(world, "acme", "c1", LATER.replace(hour=13))
    assert [row[0] for row in rows(world, "select finished_at is not null from vault.erasure")] == [True]
    assert unpacked(export_subject(world, "acme", "c1", LATER))["retained"][0]["name"] == SECRETS[0]
    found = secrets_in(world)
    assert found == {}, "also where the texts to look for were gone with the first attempt"


def test_what_waits_in_the_inbox_is_taken_first_and_erased_with_the_rest(world: Settings) -> None:
    with connect(world, "builder", autocommit=True) as connection:
        renamed = billing("n", "customer.updated", "2024-02-01", customer="c1", name="Augusta King")
        receive(world, "acme", renamed)
        erase_subject(world, "acme", "c1", LATER)
        assert connection.execute("select count(*) from inbox.batch").fetchall() == [(0,)]
    assert places_with(world, lambda text: ["Augusta"] if "Augusta" in text else []) == {}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda world: erase_subject(world, "acme", "c2", LATER), "unknown_customer"),
        (lambda world: export_subject(world, "acme", "c2", LATER), "unknown_customer"),
        (lambda world: restrict_subject(world, "acme", "c2", "x"), "unknown_customer"),
        (lambda world: restrict_subject(world, "acme", "c2", " "), "no_reason"),
    ],
    ids=["erase", "export", "restrict", "no reason"],
)
def test_a_customer_whom_nobody_knows_is_refused(settings: Settings, call: Any, code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        call(settings)
    assert refused.value.code == code
