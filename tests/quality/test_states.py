"""The release gate reads billing events in the order in which billing applies them."""

from __future__ import annotations

from itertools import permutations

import pytest

from quality.recompute.states import states_of
from tests.support.ledger import World

PLANS = [{"key": key, "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": "1"}]} for key in "abc"]


@pytest.mark.parametrize("names", list(permutations(["x2", "y0", "z1"])))
def test_of_changes_at_one_instant_by_several_sources_both_take_the_same_last(names: tuple[str, ...]) -> None:
    acme = World({"plans": PLANS})
    acme.start("2024-01-01", plan="a")
    for name, plan in zip(names, "bca", strict=True):
        data = {"subscription": "s1", "plan": plan}
        acme.record("subscription.changed", "2024-02-01", data, source=name[0], id=name[1])
    segments = acme.timeline().segments.sort("from")
    assert states_of(acme.facts_frame())["plan"][-1] == segments["plan"][-1]
