"""Duplicates, conflicts and tenants: within a file, across files and across runs."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.landing import NOW, Harbour, counts, event, founding
from tests.support.laws import law
from valueverse.services.ingestion.file_manifest import record_published


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    made = Harbour(tmp_path)
    made.land("acme/000.ndjson", founding())
    return made


FIRST = json.dumps(event("e-1", {"a": 1, "b": [True, "x"]}))
SAME = {
    "key order": json.dumps(event("e-1", {"b": [True, "x"], "a": 1})),
    "number form": FIRST.replace('"a": 1', '"a": 1.0'),
    "exponent": FIRST.replace('"a": 1', '"a": 10e-1'),
    "escape": FIRST.replace('"x"', '"\\u0078"'),
    "offset": FIRST.replace("2024-05-01T00:00:00Z", "2024-05-01T02:00:00+02:00"),
    "white space": FIRST.replace(" ", ""),
}
OTHER = {
    "value": FIRST.replace('"a": 1', '"a": 2'),
    "text for number": FIRST.replace('"a": 1', '"a": "1"'),
    "number for boolean": FIRST.replace("true", "1"),
    "type": FIRST.replace('"call"', '"other"'),
    "subject": FIRST.replace("c-1", "c-2"),
    "date": FIRST.replace("2024-05-01", "2024-04-01"),
    "amendment": FIRST[:-1] + ', "replaces": "e-0"}',
}


@pytest.mark.parametrize("across", ["lines", "files", "runs"])
def test_the_same_payload_is_a_duplicate_and_another_a_conflict(harbour: Harbour, across: str) -> None:
    lines = [*SAME.values(), *OTHER.values()]
    if across == "lines":
        harbour.land("acme/a.ndjson", FIRST, *lines)
    else:
        harbour.land("acme/a.ndjson", FIRST)
        if across == "runs":
            harbour.take()
        harbour.land("acme/b.ndjson", *lines)
    found = counts(harbour.take(NOW + timedelta(hours=1)))
    assert harbour.ids() == ["e-1"]
    assert sum(row[2] for row in found.values()) == len(SAME)
    conflicts = harbour.quarantine().to_dicts()
    assert [row["reason"] for row in conflicts] == ["conflict"] * len(OTHER)
    assert {row["path"] for row in conflicts} == {"id"}
    assert "send a new id with 'replaces'" in conflicts[0]["message"]
    assert "2024-05-01T00:00:00Z" in conflicts[0]["message"]


def test_a_byte_identical_file_under_another_name_is_all_duplicates(harbour: Harbour) -> None:
    harbour.land("acme/a.ndjson", event("e-1"), event("e-1"), "{")
    harbour.take()
    harbour.land("acme/b.ndjson", event("e-1"), event("e-1"), "{")
    assert counts(harbour.take())["acme/b.ndjson"] == (3, 0, 2, 1)
    assert harbour.ids() == ["e-1"]


def test_a_byte_identical_file_of_another_tenant_is_that_tenants_own(harbour: Harbour) -> None:
    for tenant in ("acme", "bolt"):
        harbour.land(f"{tenant}/a.ndjson", event("e-1"))
        harbour.land(f"{tenant}/f.ndjson", founding(tenant))
        harbour.take()
    assert harbour.events().filter(id="e-1")["tenant"].to_list() == ["acme", "bolt"]


def test_lines_of_an_unknown_tenant_are_taken_from_the_same_file_once_it_exists(harbour: Harbour) -> None:
    harbour.land("bolt/a.ndjson", event("e-1"))
    harbour.take()
    assert harbour.reasons() == [(1, "unknown_tenant")]
    harbour.land("bolt/b.ndjson", founding("bolt"))
    harbour.land("bolt/c.ndjson", event("e-1"))
    assert counts(harbour.take())["bolt/c.ndjson"] == (1, 1, 0, 0)
    assert harbour.quarantine()["file"].to_list() == ["bolt/a.ndjson"]


def test_a_tenant_may_come_into_being_in_a_later_file_of_the_run(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valueverse.services.ingestion.ingest._BATCH_BYTES", 1)
    harbour.land("bolt/a.ndjson", event("e-1"))
    harbour.land("bolt/z.ndjson", founding("bolt"))
    harbour.take()
    assert harbour.ids() == ["e-1"]


def test_a_tenant_that_the_folder_contradicts_is_refused(harbour: Harbour) -> None:
    harbour.land("acme/a.ndjson", event("e-1", tenant="bolt"), event("e-2", tenant="acme"))
    harbour.take()
    assert harbour.ids() == ["e-2"]
    assert "'bolt'" in harbour.quarantine()["message"][0]


def test_knowledge_time_never_goes_back(harbour: Harbour) -> None:
    harbour.take()
    harbour.land("acme/a.ndjson", event("e-1"))
    harbour.take(NOW - timedelta(days=3))
    assert harbour.events().filter(id="e-1")["received_at"].to_list() == [NOW + timedelta(microseconds=1)]


def test_a_lost_damaged_or_foreign_index_is_rebuilt(harbour: Harbour) -> None:
    harbour.land("acme/a.ndjson", event("e-1"))
    harbour.take()
    folder = harbour.home / "index" / "keys"
    run = next(folder.glob("run-*.npy"))
    damages = [
        (folder / "stamp.json").unlink,
        lambda: (folder / "stamp.json").write_text("[1"),
        lambda: (folder / "stamp.json").write_text('{"state": 5}'),
        lambda: next(folder.glob("run-*.npy")).write_bytes(run.name.encode()),
        lambda: next(folder.glob("run-*.npy")).unlink(),
    ]
    for number, damage in enumerate(damages):
        damage()
        harbour.land(f"acme/b-{number}.ndjson", event("e-1"), event(f"n-{number}"))
        assert counts(harbour.take())[f"acme/b-{number}.ndjson"] == (2, 1, 1, 0)
    assert len(harbour.ids()) == 1 + len(damages)


LINES: list[Any] = [
    *(event(f"e-{n}") for n in range(4)),
    event("e-1", {"n": 1.0}),
    event("a-1", replaces="e-1"),
    event("v-1", replaces="e-2") | {"data": None},
    "{",
    "",
    json.dumps(event("x")).replace('"n": 1', '"n": 0.12345678901234567'),
    event("", {}),
    event("y", time="yesterday"),
    event("z", time="2031-01-01T00:00:00Z"),
    event("b", {"customer": "c"}, type="billing.customer.created"),
    event("c", {}, type="billing.customer.created"),
]


@law(15)
@given(st.permutations(LINES * 2), st.lists(st.integers(0, len(LINES) * 2), max_size=3), st.booleans())
def test_order_and_batching_of_lines_do_not_change_what_is_accepted(
    lines: list[Any], cuts: list[int], separate: bool
) -> None:
    with TemporaryDirectory() as home:
        harbour = Harbour(Path(home))
        harbour.land("acme/000.ndjson", founding())
        edges = [0, *sorted(cuts), len(lines)]
        received = 0
        for number, (start, end) in enumerate(pairwise(edges)):
            harbour.land(f"acme/{number + 1}.ndjson", *lines[start:end], "")
            if separate:
                received += sum(row[0] for row in counts(harbour.take()).values())
                record_published(harbour.lake)
        received += sum(row[0] for row in counts(harbour.take()).values())
        assert received == 1 + sum(line != "" for line in lines)
        assert harbour.ids() == ["a-1", "b", "e-0", "e-1", "e-2", "e-3", "v-1"]
