"""A maximum over the lines of a charge with ``split_by``, reached by late usage: invoice and differences together are
what one of all usage would have shown, and the lines add up to the rounded maximum (contracts.md, section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.invoicing.corrections.test_corrections import Books
from tests.support.ledger import World, instant

METER = {"key": "calls", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
REGIONS = ('{"region":"ap"}', '{"region":"eu"}', '{"region":"us"}')


def world(mode: str, maximum: str, late: bool) -> World:
    """Three regions of 21, 33 and 54 units at 3 each from 11 January on (21 of 31 days); all but 1 of each late."""
    charge: dict[str, Any] = {"key": "calls", "meter": "calls", "split_by": ["region"], "maximum": maximum}
    charge |= {"price": {"model": "standard", "unit": "3"}}
    plan = {"key": "pro", "currency": "KWD", "period": {"align": "calendar"}, "charges": [charge]}
    rounding = {"mode": mode, "level": "line"}
    acme = World({"currency": "KWD", "rounding": rounding, "meters": [METER], "plans": [plan]})
    acme.start("2024-01-11")
    for region, units in zip(REGIONS, ("20", "32", "53"), strict=True):
        acme.use("2024-01-12", "calls", "1", dimensions=region)
        received = instant("2024-02-20" if late else "2024-01-13")
        acme.use("2024-01-13", "calls", units, dimensions=region, received_at=received)
    return acme


def by_region(acme: World) -> dict[str, int]:
    """What the invoices of January and February show for January, in minor units by region."""
    books, found = Books(acme), dict.fromkeys(REGIONS, 0)
    for window in (("2024-01-01", "2024-02-01", "2024-02-02"), ("2024-02-01", "2024-03-01", "2024-03-02")):
        lines = books.bill(*window).lines
        for dimensions, minor in lines.select("dimensions", "amount_minor").rows():
            found[dimensions or REGIONS[0]] += minor
    return found


@pytest.mark.parametrize("mode", ["half_up", "half_even", "up", "down"])
def test_late_usage_that_reaches_a_pro_rata_maximum_ends_where_all_usage_at_once_does(mode: str) -> None:
    """34.597 for 21 of 31 days is 23.43667...: 23.437, or 23.436 rounded down."""
    settled = by_region(world(mode, "34.597", late=True))
    assert settled == by_region(world(mode, "34.597", late=False))
    assert sum(settled.values()) == (23436 if mode == "down" else 23437)
