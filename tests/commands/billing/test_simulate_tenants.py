"""``valueverse simulate``: events that name no tenant, and what the end says of events that were not used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from tests.commands.billing.test_simulate import CATALOG, EARLY, LATE, STARTED, documents, event, simulate
from valueverse.cli import app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "catalog.json").write_text(json.dumps(CATALOG))
    (tmp_path / "events.ndjson").write_text("\n".join([STARTED, EARLY, LATE]))
    return tmp_path


def _simulated(files: Path, *options: str) -> Result:
    """Without the dates that ``simulate`` gives."""
    names = ["simulate", "--catalog", str(files / "catalog.json"), "--events", str(files / "events.ndjson")]
    return CliRunner().invoke(app, [*names, *options])


def _nameless(line: str) -> str:
    return line.replace(', "tenant": "acme"', "")


def test_events_that_name_no_tenant_are_those_of_the_one_that_is_named(files: Path) -> None:
    whole = documents(simulate(files))
    (files / "events.ndjson").write_text("\n".join([STARTED, _nameless(EARLY), _nameless(LATE)]))
    result = simulate(files)
    assert documents(result) == whole
    assert "2 events name no tenant: they are taken for those of 'acme', the only one that is named" in result.stderr
    assert "used 3 of 3 events" in result.stderr


def test_where_nobody_is_named_all_events_are_one_tenants(files: Path) -> None:
    (files / "events.ndjson").write_text("\n".join(map(_nameless, [STARTED, EARLY, LATE])))
    result = simulate(files)
    (document,) = documents(result)
    assert (document["tenant"], document["total"]) == ("tenant", "25.67")
    assert "used 3 of 3 events" in result.stderr


def test_the_event_that_creates_the_tenant_names_it(files: Path) -> None:
    created = event("t", "billing.tenant.created", "2023-10-01T00:00:00Z", {"tenant": "acme", "name": "Acme"})
    (files / "events.ndjson").write_text("\n".join(map(_nameless, [created, STARTED, EARLY, LATE])))
    (document,) = documents(simulate(files))
    assert (document["tenant"], document["total"]) == ("acme", "25.67")


def test_among_several_tenants_an_event_must_name_its_own(files: Path) -> None:
    other = STARTED.replace('"acme"', '"globex"')
    (files / "events.ndjson").write_text("\n".join([STARTED, other, EARLY, _nameless(LATE)]))
    result = simulate(files)
    assert [document["total"] for document in documents(result)] == ["25.33", "25.00"]
    assert (
        "line 4: the event names no tenant, and others name several (acme, globex): add 'tenant' to it" in result.stderr
    )
    assert "used 3 of 4 events" in result.stderr
    assert f"not used: 1 unknown_tenant, e.g. {files / 'events.ndjson'} line 4" in result.stderr


def test_no_folder_bills_another_tenant(files: Path) -> None:
    folders = [files / "landing" / name for name in ("acme", "globex")]
    for folder in folders:
        folder.mkdir(parents=True)
    globex = STARTED.replace('"acme"', '"globex"')
    (folders[0] / "a.ndjson").write_text("\n".join([STARTED, EARLY, LATE.replace('"acme"', '"globex"')]))
    (folders[1] / "g.ndjson").write_text(globex)
    catalog = ["simulate", "--catalog", str(files / "catalog.json"), "--from", "2023-11-01", "--to", "2023-12-01"]
    result = CliRunner().invoke(app, [*catalog, "--landing", str(files / "landing")])
    totals = {document["tenant"]: document["total"] for document in documents(result)}
    assert totals == {"acme": "25.33", "globex": "25.00"}
    assert (
        "left out: acme/a.ndjson line 3: the event says tenant 'globex', but it is delivered as one of 'acme': correct "
        "the one that is wrong [unknown_tenant]"
    ) in result.stderr
    assert "used 3 of 4 events, 1 not, because:\nnot used: 1 unknown_tenant, e.g. acme/a.ndjson line 3" in result.stderr


def test_each_of_several_tenants_is_billed_as_in_a_file_of_its_own(files: Path) -> None:
    acme = [STARTED, EARLY, LATE]
    globex = [line.replace('"acme"', '"globex"') for line in (STARTED, LATE)]
    alone = []
    for lines in (acme, globex):
        (files / "events.ndjson").write_text("\n".join(lines))
        alone += documents(simulate(files))
    (files / "events.ndjson").write_text("\n".join([acme[0], globex[1], acme[1], globex[0], acme[2]]))
    result = simulate(files)
    assert documents(result) == alone
    assert "used 5 of 5 events" in result.stderr


@pytest.mark.parametrize("odd", ["1971-03-01T00:00:00Z", "2190-06-01T00:00:00Z"])
def test_an_odd_date_of_one_tenant_widens_no_others_window(files: Path, odd: str) -> None:
    acme = [STARTED, EARLY, LATE]
    (files / "events.ndjson").write_text("\n".join(acme))
    alone = _simulated(files)
    assert "simulating periods that end after 2023-11-01 and up to 2023-12-01\n" in alone.stderr
    other = event("x", "request", odd, {"tokens": 1}, subject="c9").replace('"acme"', '"globex"')
    (files / "events.ndjson").write_text("\n".join([other, *acme]))
    together = _simulated(files)
    assert documents(together) == documents(alone)
    assert ", of each tenant in the months of its own events\n" in together.stderr


def test_a_last_day_before_the_first_event_of_a_tenant_leaves_that_tenant_alone(files: Path) -> None:
    later = [line.replace('"acme"', '"globex"').replace("2023-", "2024-") for line in (STARTED, EARLY)]
    (files / "events.ndjson").write_text("\n".join([STARTED, EARLY, LATE, *later]))
    result = _simulated(files, "--to", "2023-12-01")
    assert [document["tenant"] for document in documents(result)] == ["acme"]


def test_the_tenant_that_an_event_creates_counts_as_one_that_is_named(files: Path) -> None:
    created = event("t", "billing.tenant.created", "2023-10-01T00:00:00Z", {"tenant": "globex", "name": "Globex"})
    (files / "events.ndjson").write_text("\n".join([_nameless(created), STARTED, _nameless(EARLY), LATE]))
    result = simulate(files)
    assert [document["tenant"] for document in documents(result)] == ["acme"]
    assert "line 3: the event names no tenant, and others name several (acme, globex)" in result.stderr
    assert "used 3 of 4 events" in result.stderr


def test_a_catalog_among_the_events_gives_way_to_the_one_that_is_asked_for(files: Path) -> None:
    whole = documents(simulate(files))
    dear = json.loads(json.dumps(CATALOG).replace("tokens", "calls"))
    published = event("p", "billing.catalog.published", "2023-10-01T00:00:00Z", dear)
    for line, tenant in ((published, "acme"), (_nameless(published), "acme")):
        (files / "events.ndjson").write_text("\n".join([line, STARTED, EARLY, LATE]))
        result = simulate(files)
        assert documents(result) == whole
        assert {document["tenant"] for document in whole} == {tenant}
        assert "used 3 of 4 events" in result.stderr
        assert "not used: 1 catalog_given (the catalog of the command line holds)" in result.stderr


def test_a_catalog_of_another_tenant_bills_nobody_else(files: Path) -> None:
    whole = documents(simulate(files))
    published = event("p", "billing.catalog.published", "2023-10-01T00:00:00Z", CATALOG)
    (files / "events.ndjson").write_text("\n".join([published.replace('"acme"', '"globex"'), STARTED, EARLY, LATE]))
    assert documents(simulate(files)) == whole


def test_the_end_says_which_events_were_not_used_and_why(files: Path) -> None:
    lost = event("9", "request", "2023-11-07T00:00:00Z", {"tokens": 1}, subject="nobody")
    odd = event("10", "else", "2023-11-07T00:00:00Z", {"tokens": 1}, subject="c1")
    far = event("11", "request", "2023-12-07T00:00:00Z", {"tokens": 1}, subject="c1")
    ended = event("12", "billing.subscription.ended", "2023-11-09T00:00:00Z", {"subscription": "none"})
    changed = event("1", "request", "2023-11-05T00:00:00Z", {"tokens": 5}, subject="c1")
    lines = [STARTED, EARLY, LATE, lost, odd, far, ended, changed, EARLY, "{"]
    (files / "events.ndjson").write_text("\n".join(lines))
    printed = simulate(files).stderr.splitlines()
    place = files / "events.ndjson"
    nobody = "customer 'nobody', meter 'tokens' on 2023-11-07"
    late = "customer 'c1', meter 'tokens' on 2023-12-07"
    assert printed[-8:] == [
        "used 3 of 10 events, 7 not, because:",
        f"not used: 1 conflict (an earlier event has its id and other content), e.g. {place} line 8",
        f"not used: 1 duplicate (the same event again), e.g. {place} line 9",
        f"not used: 1 malformed, e.g. {place} line 10",
        "not used: 1 no_meter (no meter of the catalog reads its type), e.g. customer 'c1' on 2023-11-07",
        f"not used: 1 no_subscription (the customer has none, or no event creates the customer), e.g. {nobody}",
        f"not used: 1 period_open (outside of the periods billed, or received after their close), e.g. {late}",
        "not used: 1 unknown_subscription, e.g. billing.subscription.ended '12' of source 'test'",
    ]


def test_what_was_voided_or_amended_is_counted_with_what_did_it(files: Path) -> None:
    body = json.loads(STARTED)
    amended = json.dumps(body | {"id": "amended", "replaces": body["id"]})
    voided = json.dumps(body | {"id": "voided", "replaces": "amended", "data": None})
    (files / "events.ndjson").write_text("\n".join([STARTED, amended, EARLY]))
    assert "used 2 of 3 events, 1 not, because:\nnot used: 1 void (voids another event," in simulate(files).stderr
    (files / "events.ndjson").write_text("\n".join([STARTED, amended, voided, EARLY]))
    assert "used 0 of 4 events, 4 not, because:\nnot used: 3 void" in simulate(files).stderr
