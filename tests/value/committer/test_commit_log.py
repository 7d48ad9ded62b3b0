"""The chain of what was done to commits: proposed, approved, superseded, closed; and nobody edits it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support import commits
from tests.value.committer.test_commits import MODEL, OPTIONS, tenant
from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.warehouse import connect
from valueverse.value.committer.commit_log import CommitEvent, StoredEvent, broken_events, event_hash, supersessions

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
EVENTS = [
    CommitEvent("a" * 64, did, by, NOON + timedelta(minutes=place), reason)
    for place, (did, by, reason) in enumerate(
        [("proposed", "ann", None), ("vendor", "vera", None), ("customer", "carl", None), ("confirmed", "vera", "done")]
    )
]


def chained(*events: CommitEvent) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    for place, event in enumerate(events, start=1):
        previous = found[-1].chain if found else None
        link = event_hash(event.canonical(), place, previous)
        found.append(StoredEvent(place, event.commit, event.action, event.canonical(), previous, link))
    return found


def test_a_chain_that_matches_the_tables_is_whole() -> None:
    assert broken_events(chained(*EVENTS), EVENTS) == []
    assert broken_events([], []) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"document": EVENTS[0].canonical()}, "chain_broken"),
        ({"chain": "0" * 64}, "chain_broken"),
        ({"action": "written_off"}, "columns_edited"),
        ({"commit": "b" * 64}, "columns_edited"),
    ],
)
def test_an_edited_commit_event_shows(change: dict[str, str], reason: str) -> None:
    logged = chained(*EVENTS)
    logged[3] = replace(logged[3], **change)
    assert (4, reason) in broken_events(logged, EVENTS)


def test_a_row_without_an_event_and_an_event_without_a_row_show() -> None:
    logged = chained(*EVENTS)
    assert broken_events(logged[:2] + logged[3:], EVENTS)[0] == (3, "missing")
    assert broken_events(logged[:3], EVENTS) == [(3, "not_told")]
    assert broken_events(logged, EVENTS[:3]) == [(4, "not_done")]
    later = replace(EVENTS[2], at=NOON)
    assert broken_events(logged, [*EVENTS[:2], later, EVENTS[3]]) == [(3, "not_done"), (4, "not_told")]


def test_a_successor_supersedes_with_its_last_approval() -> None:
    child = "b" * 64
    approvals = [replace(EVENTS[1], commit=child), replace(EVENTS[2], commit=child)]
    parents = [("a" * 64, None), (child, "a" * 64)]
    assert supersessions(parents, approvals[:1], ("vendor", "customer")) == []
    assert supersessions(parents, approvals, ("vendor", "customer")) == [
        CommitEvent("a" * 64, "superseded", "carl", EVENTS[2].at, successor=child)
    ]


def agreed(settings: Settings, **options: Any) -> str:
    commit = str(commits.commit(settings, "acme", MODEL, OPTIONS | options, None)["commit"])
    commits.approve(settings, "acme", commit, "vendor", "vera")
    commits.approve(settings, "acme", commit, "customer", "carl")
    return commit


def rows_of(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.integration
def test_everything_done_to_commits_is_in_the_tenants_chain(settings: Settings) -> None:
    tenant(settings)
    first = agreed(settings)
    second = agreed(settings, seed=2, parent=first[:8], reason='müde \\ "alt"')
    commits.close(settings, "acme", second, "written_off", "vera", "nothing came\tof it\n")
    assert rows_of(settings, "select commit_id, action from value.commit_event order by sequence") == [
        (first, "proposed"), (first, "vendor"), (first, "customer"),
        (second, "proposed"), (second, "vendor"), (second, "customer"), (first, "superseded"),
        (second, "written_off"),
    ]  # fmt: skip
    found = commits.verify(settings, "acme", None)
    assert (found["ok"], found["commits"], found["deeds"]) == (True, 2, 8)
    # A chain made again from the tables alone is the same, to the last bit: those of commits made before it.
    before = rows_of(settings, "select * from value.commit_event order by sequence")
    warehouse.downgrade(settings, "0008")
    warehouse.upgrade(settings)
    assert sorted(row[4] for row in rows_of(settings, "select * from value.commit_event")) == sorted(
        row[4] for row in before
    )
    assert commits.verify(settings, "acme", None)["ok"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("approval", "update value.approval set approved_by = 'eve' where side = 'vendor'"),
        ("approval", "delete from value.approval where side = 'customer'"),
        ("commit_event", "delete from value.commit_event where sequence = 3"),
        ("commit_event", "update value.commit_event set document = replace(document, 'carl', 'eve')"),
    ],
)
def test_an_edit_without_the_guard_shows(settings: Settings, table: str, statement: str) -> None:
    tenant(settings)
    agreed(settings)
    head = commits.verify(settings, "acme", None)["head"]
    with connect(settings, "admin") as connection:
        connection.execute(f"alter table value.{table} disable trigger insert_only".encode())
        connection.execute(statement.encode())
        connection.commit()
    assert not commits.verify(settings, "acme", head)["ok"]


@pytest.mark.integration
@pytest.mark.parametrize("role", ["builder", "admin"])
@pytest.mark.parametrize("table", ["commit", "approval", "closing", "commit_event"])
@pytest.mark.parametrize("verb", ["update value.{} set commit_id = commit_id", "delete from value.{}"])
def test_nobody_edits_what_was_agreed(module_settings: Settings, role: Any, table: str, verb: str) -> None:
    with connect(module_settings, role) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(verb.format(table).encode())


@pytest.mark.integration
def test_a_commit_is_named_by_the_beginning_of_its_id(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant(settings)
    found = commits.commit(settings, "acme", MODEL, OPTIONS, None)["commit"]
    assert commits.approve(settings, "acme", found[:8].upper(), "vendor", "vera")["commit"] == found
    for unknown in (found[:7], found + "0", "0" * 8, "no such %", ""):
        with pytest.raises(RefusalError, match="value log") as refused:
            commits.approve(settings, "acme", unknown, "customer", "carl")
        assert refused.value.code == "unknown_commit"
    alike = [found[:8] + letter * 56 for letter in "01"]
    with connect(settings, "builder") as connection:
        for place, one in enumerate(alike, start=2):
            connection.execute(
                "insert into value.commit (tenant_id, commit_id, sequence, model, author, document, chain_hash, "
                "committed_at) values ('acme', %s, %s, 'm', 'ann', '{}', 'h', now())",
                [one, place],
            )
        connection.commit()
    with pytest.raises(RefusalError) as refused:
        commits.approve(settings, "acme", found[:8], "customer", "carl")
    assert refused.value.code == "ambiguous_commit"
    assert all(one in refused.value.message for one in (found, *alike))


@pytest.mark.integration
def test_who_approves_is_named_and_blanks_do_not_make_another_person(settings: Settings) -> None:
    tenant(settings)
    commit = commits.commit(settings, "acme", MODEL, OPTIONS, None)["commit"]
    for by, code in ((" ", "missing_name"), ("ann ", "author_cannot_approve"), ("a\u202eb", "bad_name")):
        with pytest.raises(RefusalError) as refused:
            commits.approve(settings, "acme", commit, "vendor", by)
        assert refused.value.code == code
    with pytest.raises(RefusalError, match="name is empty"):
        commits.commit(settings, "acme", MODEL, OPTIONS | {"author": ""}, None)
