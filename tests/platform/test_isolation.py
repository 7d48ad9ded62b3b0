"""The law of isolation: whoever fails, all others are done, each once, and what is nobody's fault fails as a whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueverse.errors import RefusalError
from valueverse.platform.isolation import Isolated, failure_of, is_shared, isolate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def work_that_fails_for(
    poisoned: set[str], everyone: list[str], calls: list[list[str]]
) -> Callable[[Sequence[str] | None], list[str]]:
    def work(tenants: Sequence[str] | None) -> list[str]:
        asked = everyone if tenants is None else list(tenants)
        calls.append(asked)
        if poisoned & set(asked):
            raise ValueError(f"poison among {len(asked)}")
        return asked

    return work


@given(st.integers(1, 64), st.sets(st.integers(0, 63), max_size=6))
def test_exactly_the_failing_tenants_are_held_and_all_others_are_done_once(count: int, places: set[int]) -> None:
    everyone = [f"t{number:02d}" for number in range(count)]
    poisoned = {f"t{place:02d}" for place in places if place < count}
    calls: list[list[str]] = []
    found = isolate(work_that_fails_for(poisoned, everyone, calls), everyone, lambda: everyone)
    assert {failure.tenant for failure in found.failures} == poisoned
    assert sorted(tenant for part in found.results for tenant in part) == sorted(set(everyone) - poisoned)
    assert len(calls) <= 1 + len(poisoned) * (2 * math.ceil(math.log2(count)) + 1 if count > 1 else 1)


def test_without_a_failure_the_work_is_done_once_for_all() -> None:
    calls: list[list[str]] = []
    found = isolate(work_that_fails_for(set(), ["a", "b"], calls), None, lambda: pytest.fail("nobody was asked for"))
    assert (found.results, found.failures, calls) == ([["a", "b"]], [], [["a", "b"]])


def test_what_every_tenant_of_a_run_for_all_meets_is_a_fault_of_the_work() -> None:
    with pytest.raises(ValueError, match="poison among 3"):
        isolate(work_that_fails_for({"a", "b", "c"}, ["a", "b", "c"], []), None, lambda: ["a", "b", "c"])


def test_the_only_tenant_is_held_like_one_of_many() -> None:
    found = isolate(work_that_fails_for({"a"}, ["a"], []), None, lambda: ["a"])
    assert [failure.tenant for failure in found.failures] == ["a"]
    assert found.outcome == "finished, 1 tenant held"


def test_a_panic_of_native_code_is_a_failure_of_its_tenant() -> None:
    def work(tenants: Sequence[str] | None) -> int:
        if tenants is None or "b" in tenants:
            raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")
        return len(tenants)

    found = isolate(work, None, lambda: ["a", "b", "c"])
    assert [(failure.tenant, failure.code) for failure in found.failures] == [("b", "native_panic")]
    assert sum(found.results) == 2


SHARED: list[BaseException] = [
    KeyboardInterrupt(),
    SystemExit(1),
    GeneratorExit(),
    OSError(28, "No space left on device"),
    RefusalError("disk_full", "no space left for the lake"),
    RefusalError("warehouse_unreachable", "Postgres does not answer"),
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg.errors.DiskFull("could not extend file"),
    psycopg.errors.AdminShutdown("terminating connection"),
    psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
    psycopg.errors.DeadlockDetected("deadlock detected"),
    psycopg.errors.UndefinedTable("relation does not exist"),
]
OF_A_TENANT: list[BaseException] = [
    ValueError("year 10000 is out of range"),
    OverflowError("date value out of range"),
    MemoryError(),
    pl.exceptions.InvalidOperationError("overflow"),
    pl.exceptions.PanicException("index out of bounds"),
    RefusalError("out_of_range", "1e30 is too large"),
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    psycopg.errors.ProgramLimitExceeded("index row size 12016 exceeds btree version 4 maximum 2704"),
    psycopg.errors.NumericValueOutOfRange("bigint out of range"),
    psycopg.errors.CheckViolation("violates check constraint"),
    psycopg.errors.RaiseException("raised by a trigger"),
]


@pytest.mark.parametrize("error", SHARED, ids=lambda error: type(error).__name__)
def test_servers_disks_locks_and_interruptions_are_nobodys_failure(error: BaseException) -> None:
    calls = 0

    def work(_: Sequence[str] | None) -> None:
        nonlocal calls
        calls += 1
        raise error

    assert is_shared(error)
    with pytest.raises(type(error)):
        isolate(work, None, lambda: ["a", "b"])
    assert calls == 1


@pytest.mark.parametrize("error", OF_A_TENANT, ids=lambda error: type(error).__name__)
def test_what_data_can_cause_is_its_tenants_failure(error: BaseException) -> None:
    assert not is_shared(error)


def test_an_interruption_while_tenants_are_searched_ends_the_search() -> None:
    def work(tenants: Sequence[str] | None) -> None:
        if tenants is None:
            raise ValueError("poison")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isolate(work, None, lambda: ["a", "b"])


def test_a_failure_says_one_short_sentence() -> None:
    recorded_failure = failure_of("a", RefusalError("bad_price", "no\nsuch\0thing " * 100, "plans[0]"))
    assert recorded_failure.code == "bad_price"
    assert len(recorded_failure.message) <= 500
    assert not set("\n\0") & set(recorded_failure.message)
    assert failure_of("a", OverflowError()).message == "OverflowError"
    assert failure_of("a", OverflowError()).code == "overflow_error"
    assert Isolated([1], [recorded_failure, recorded_failure]).outcome == "finished, 2 tenants held"
