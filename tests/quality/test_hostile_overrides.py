"""Overrides that make no terms of a plan are left aside by the recomputation, whoever's plan it is."""

from __future__ import annotations

import json
import random

from quality.recompute.catalog_flattening import flatten
from tests.support import hostile
from tests.support.hostile_values import CATALOG

PLAN = CATALOG["plans"][0]


def overrides(count: int) -> list[str]:
    """Parts of the plan with something hostile at one of their places, and what is no part of any plan."""
    rng = random.Random(11)
    found = ['{"charges":["../../etc/passwd"]}', "[]", "1", '"x"', "null", '{"fees":7}', '{"charges":{"a":1}}']
    for _ in range(count):
        part = {name: PLAN[name] for name in ("charges", "fees", "period") if name in PLAN and rng.random() < 0.7}
        places = list(hostile._leaves(part)) or [("charges",)]
        text = hostile.dumps(hostile._put({"charges": []} | part, rng.choice(places), hostile._scalar(rng)))
        try:
            json.loads(text)
        except ValueError:
            continue
        found.append(text)
    return found


def test_no_overrides_stop_the_recomputation_or_change_another_plans_terms() -> None:
    documents = {"mine": json.dumps(CATALOG)}
    alone = flatten(documents)
    for text in overrides(250):
        found = flatten(documents, [(PLAN["key"], text)])
        plain = {name: rows.filter(rows["overrides"] == "") if "overrides" in rows.columns else rows
                 for name, rows in found.items()}  # fmt: skip
        assert all(rows.equals(alone[name]) for name, rows in plain.items()), text
