"""The law: billing many tenants together says byte for byte what billing each alone says.

Companies are drawn from seeds; everything that a tenant chooses (keys, sources, ids, customers, subscriptions,
coupons, wallets, plans, meters, invoice numbers) is equal across them, and prices, times and amounts differ.
``COMPANIES`` says how many are tried.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support.companies import Company, as_texts, bill_runs, months

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.ledger import World
    from valueverse.invoicing.engine import Billed

COMPANIES = int(os.environ.get("COMPANIES", "18"))
ALONE = max(2, COMPANIES // 12)
NUMBERED = {"window", "line", "key", "stretch", "bill"}
"""Row numbers of one frame of all tenants."""
_MONTHLY = months("2024-01-01", 4)
RUNS = [(_MONTHLY[0][0], *_MONTHLY[1][1:]), *_MONTHLY[2:]]
"""The first run bills two months."""


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [Company(f"t{seed:04}", seed).world for seed in range(COMPANIES)]


@pytest.fixture(scope="module")
def joined() -> set[tuple[str, ...]]:
    """Keys of the joins of ``together`` that leave the tenant out where both sides have it."""
    return set()


@pytest.fixture(scope="module")
def together(worlds: list[World], joined: set[tuple[str, ...]]) -> list[Billed]:
    original = pl.DataFrame.join

    def watched(left: pl.DataFrame, right: pl.DataFrame, on: Any = None, **more: Any) -> pl.DataFrame:
        keys = [on] if isinstance(on, str) else list(on or ())
        sides = [more.get(side) for side in ("left_on", "right_on")]
        named = {key for side in sides if side for key in ([side] if isinstance(side, str) else side)}
        shared = "tenant" in left.columns and "tenant" in right.columns
        if shared and more.get("how") != "cross" and "tenant" not in {*keys, *named}:
            joined.add(tuple(sorted({*keys, *named})))
        return original(left, right, on, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pl.DataFrame, "join", watched)
        return bill_runs(worlds, RUNS, holds=True)


def test_companies_have_every_kind_of_line_invoice_discount_and_credit(
    worlds: list[World], together: list[Billed], record_property: Callable[[str, object], None]
) -> None:
    """A generator that made nothing would prove nothing."""
    record_property("companies", len(worlds))
    invoices = pl.concat([run.invoices.select("invoice_type", "discounts", "credits") for run in together])
    kinds = {kind for run in together for kind in run.lines["kind"]}
    assert kinds >= {"fee", "usage", "adjustment", "one_off", "minimum", "outcome"}
    assert set(invoices["invoice_type"]) >= {"start", "period", "threshold", "one_off"}
    assert invoices["discounts"].list.len().sum() > COMPANIES
    assert invoices["credits"].list.len().sum() > COMPANIES


def test_a_company_billed_with_others_is_billed_as_if_alone(worlds: list[World], together: list[Billed]) -> None:
    for world in worlds[:ALONE]:
        assert as_texts(together, world.tenant) == as_texts(bill_runs([world], RUNS, holds=True), world.tenant)


def test_a_company_is_billed_alike_whoever_the_others_are(worlds: list[World], together: list[Billed]) -> None:
    for part in (worlds[::2], worlds[1::2]):
        apart = bill_runs(part, RUNS, holds=True)
        for world in part:
            assert as_texts(together, world.tenant) == as_texts(apart, world.tenant)


def test_a_company_is_billed_alike_in_whatever_order_rows_come(worlds: list[World], together: list[Billed]) -> None:
    shuffled = bill_runs(worlds, RUNS, shuffle=1, holds=True)
    for world in worlds:
        assert as_texts(together, world.tenant) == as_texts(shuffled, world.tenant)


@pytest.mark.usefixtures("together")
def test_no_two_tables_of_tenants_are_joined_without_the_tenant(joined: set[tuple[str, ...]]) -> None:
    """Where both sides of a join have the column ``tenant``, it is among the keys, or the keys are numbers made in the
    run: judged as the joins happen, beside the judgement of the source (tests/architecture)."""
    assert [keys for keys in sorted(joined) if not NUMBERED.intersection(keys)] == []
