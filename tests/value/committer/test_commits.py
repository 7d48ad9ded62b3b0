"""Committed models: content ids, two parties' approvals, states, and rows that nobody edits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import commits
from valueverse.errors import RefusalError
from valueverse.platform.warehouse import connect
from valueverse.value.committer.commits import Approval, Frozen, chain_hash, commit_id, commit_states, judge_approval

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

MODEL = '{"schema": "valueverse.value_model/v1", "model": "m", "inputs": {"x": 5}, "variables": {"y": "2 * x"}}'
OPTIONS: dict[str, Any] = {
    "scenario": "base",
    "seed": 1,
    "author": "ann",
    "customer": None,
    "start": None,
    "parent": None,
    "reason": None,
}


def frozen(**more: Any) -> Frozen:
    return Frozen(**({"model": {"b": 1, "a": 2}, "baseline": {}, "watermark": None} | OPTIONS | more))


def test_the_same_content_has_the_same_id_and_any_other_another() -> None:
    first = commit_id(frozen().canonical())
    assert first == commit_id(frozen(model={"a": 2, "b": 1}).canonical())
    assert first != commit_id(frozen(seed=2).canonical())


def test_a_commit_keeps_its_id_over_all_versions_of_this_code() -> None:
    """What two parties signed is found by its id: whoever changes what is hashed changes ``rules_version`` too."""
    found = frozen(
        customer="c1", start="2024-01-01", expected={"npv": 1.5}, snapshot={"tickets": {"2023-12": [1.0, 2.0]}},
        watermark="2024-01-01T00:00:00Z",
    )  # fmt: skip
    assert commit_id(found.canonical()) == "ca7c51f0386f96634aec26f5c4fdbd5ba11df0336c80ff719447ce6707bfadd0"


def test_a_change_says_why() -> None:
    with pytest.raises(RefusalError, match="says why"):
        frozen(parent="0" * 64).canonical()


@pytest.mark.parametrize(
    ("given", "new", "code"),
    [
        ([], Approval("nobody", "bob"), "unknown_side"),
        ([], Approval("vendor", "ann"), "author_cannot_approve"),
        ([Approval("vendor", "bob")], Approval("vendor", "eve"), "already_approved"),
        ([Approval("vendor", "bob")], Approval("customer", "bob"), "one_person_both_sides"),
    ],
)
def test_who_may_not_approve_is_reported_why(given: list[Approval], new: Approval, code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        judge_approval("ann", given, new)
    assert refused.value.code == code


@given(sides=st.sets(st.sampled_from(["vendor", "customer"])), child=st.booleans())
def test_a_commit_is_active_once_both_sides_approved_it_and_until_a_child_is(sides: set[str], child: bool) -> None:
    both = [Approval("vendor", "v"), Approval("customer", "c")]
    given = {"a": [Approval(side, side) for side in sides], "b": both if child else []}
    found = commit_states([("a", None), ("b", "a")], given)
    expected = {0: "proposed", 1: f"approved_by_{next(iter(sides), '')}", 2: "superseded" if child else "active"}
    assert found["a"] == expected[len(sides)]


def tenant(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        connection.execute("insert into billing.tenant (tenant_id, timezone, currency) values ('acme', 'UTC', 'USD')")
        connection.commit()


@pytest.mark.integration
def test_commits_form_a_chain_and_take_effect_by_two_approvals(settings: Settings) -> None:
    tenant(settings)
    first = commits.commit(settings, "acme", MODEL, OPTIONS, None)
    assert commits.commit(settings, "acme", MODEL, OPTIONS, None)["new"] is False
    for side, by in (("vendor", "vera"), ("customer", "carl")):
        state = commits.approve(settings, "acme", first["commit"], side, by)["state"]
    assert state == "active"
    changed = OPTIONS | {"parent": first["commit"], "reason": "more users", "seed": 2}
    second = commits.commit(settings, "acme", MODEL, changed, None)
    for side, by in (("vendor", "vera"), ("customer", "carl")):
        commits.approve(settings, "acme", second["commit"], side, by)
    assert [row["state"] for row in commits.log(settings, "acme")] == ["superseded", "active"]
    with connect(settings, "builder") as connection:
        rows = connection.execute(
            "select commit_id, sequence, previous_hash, chain_hash, document from value.commit order by sequence"
        ).fetchall()
    previous = None
    for found, sequence, before, link, document in rows:
        assert (before, link) == (previous, chain_hash(found, sequence, previous))
        assert found == commit_id(document)
        json.loads(document)
        previous = link


@pytest.mark.integration
def test_a_chain_is_recomputed_and_reported_with_its_head(settings: Settings) -> None:
    tenant(settings)
    commits.commit(settings, "acme", MODEL, OPTIONS, None)
    first = commits.verify(settings, "acme", None)
    assert (first["ok"], first["commits"]) == (True, 1)
    commits.commit(settings, "acme", MODEL, OPTIONS | {"seed": 2}, None)
    assert commits.verify(settings, "acme", first["head"])["ok"]
    assert commits.verify(settings, "acme", "0" * 64)["problems"] == [
        {"chain": "deeds", "sequence": 2, "reason": "head_not_found"}
    ]
    # Who drops the guard can edit a row: the chain shows it.
    with connect(settings, "admin") as connection:
        connection.execute("alter table value.commit disable trigger insert_only")
        connection.execute("update value.commit set author = 'eve' where sequence = 1")
        connection.commit()
    found = commits.verify(settings, "acme", None)
    assert not found["ok"]
    assert {"chain": "commits", "sequence": 1, "reason": "columns_edited"} in found["problems"]


@pytest.mark.integration
def test_a_tenant_that_there_is_not_is_refused_by_what_lists(settings: Settings) -> None:
    for listed in (commits.log, lambda at, name: commits.verify(at, name, None)):
        with pytest.raises(RefusalError, match="no tenant 'acme'"):
            listed(settings, "acme")


@pytest.mark.integration
@pytest.mark.parametrize("statement", ["update value.commit set author = 'eve'", "delete from value.approval"])
def test_nothing_committed_is_ever_edited(settings: Settings, statement: str) -> None:
    tenant(settings)
    found = commits.commit(settings, "acme", MODEL, OPTIONS, None)
    commits.approve(settings, "acme", found["commit"], "vendor", "vera")
    with connect(settings, "builder") as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"parent": "f" * 64, "reason": "r"}, "unknown_commit"),
        ({"scenario": "nosuch"}, "unknown_scenario"),
        ({"seed": 2**60}, "bad_seed"),
    ],
)
def test_a_commit_of_what_is_not_there_is_refused(settings: Settings, options: dict[str, Any], code: str) -> None:
    tenant(settings)
    with pytest.raises(RefusalError) as refused:
        commits.commit(settings, "acme", MODEL, OPTIONS | options, None)
    assert refused.value.code == code
    with pytest.raises(RefusalError, match="no tenant"):
        commits.commit(settings, "nobody", MODEL, OPTIONS, None)


MEASURED = json.dumps(
    {
        "schema": "valueverse.value_model/v1",
        "model": "measured",
        "currency": "USD",
        "axis": {"grain": "month", "start": "commit.start", "periods": 3},
        "inputs": {"saved": {"unit": "USD/month", "bind": {"metric": "usage.saved"}}},
        "drivers": {"saving": "saved"},
        "scenarios": {"agreed": {"saved": 5}},
    }
)


@pytest.mark.integration
def test_a_model_that_starts_with_its_commit_needs_a_start(settings: Settings) -> None:
    tenant(settings)
    with pytest.raises(RefusalError, match="state its start, a day such as") as refused:
        commits.commit(settings, "acme", MEASURED, OPTIONS | {"scenario": "agreed"}, None)
    assert (refused.value.code, refused.value.path) == ("missing_start", "--start")
    options = OPTIONS | {"scenario": "agreed"}
    for start in ("2024-02", "2024-02-01"):
        found = commits.commit(settings, "acme", MEASURED, options | {"start": start}, None)
        assert found["start"] == "2024-02-01"
    for start in ("2024-W05-1", "20240201", "2024-02-30", "tomorrow", ""):
        with pytest.raises(RefusalError, match="not a date like") as refused:
            commits.commit(settings, "acme", MEASURED, options | {"start": start}, None)
        assert refused.value.code == "bad_start"


@pytest.mark.integration
def test_a_customer_that_no_event_names_is_refused_with_those_of_a_like_name(settings: Settings) -> None:
    tenant(settings)
    with connect(settings, "builder") as connection:
        connection.execute("insert into billing.customer (tenant_id, customer) values ('acme', 'globex')")
        connection.execute(
            "insert into billing.usage_daily (tenant_id, customer, meter, day, events) values "
            "('acme', 'initech', 'm', '2024-01-01', 1)"
        )
        connection.commit()
    with pytest.raises(RefusalError, match="no customer 'globx': did you mean 'globex'") as refused:
        commits.commit(settings, "acme", MODEL, OPTIONS | {"customer": "globx"}, None)
    assert (refused.value.code, refused.value.path) == ("unknown_customer", "--customer")
    for customer in ("globex", "initech"):
        assert commits.commit(settings, "acme", MODEL, OPTIONS | {"customer": customer}, None)["new"]


@pytest.mark.integration
def test_a_commit_made_again_shows_the_state_it_has(settings: Settings) -> None:
    tenant(settings)
    found = commits.commit(settings, "acme", MODEL, OPTIONS, None)["commit"]
    commits.approve(settings, "acme", found, "vendor", "vera")
    again = commits.commit(settings, "acme", MODEL, OPTIONS, None)
    assert (again["new"], again["state"]) == (False, "approved_by_vendor")
