"""Hostile value models of one tenant, seeded: formulas, numbers, names, bindings and what is measured for them.

``models`` gives texts to be read, most of which a language of formulas could take for a model; ``actuals`` rows of
metrics that bound inputs are measured by. The same seed gives the same items.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tests.support.hostile import dumps
from valueverse.schemas.value import MODEL_METRICS
from valueverse.value.architect.document.model import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

# What may be measured, and what a model may say itself (at most 10^15).
NUMBERS = (0.0, -0.0, 1e-320, 1e308, -1e308, 1e15, 9007199254740993.0, 0.1, -1.0, 2.0**-1074, 1e-300)
VALUES = (0.0, -0.0, 1e-320, 1e15, -1e15, 0.1, -1.0, 2.0**-1074, 3.0)
TEXTS = (
    "", "\u0000", "\ud800", "t", "prev", "npv", "x" * 5_000, "a" * 63, "\u202ebenefit", "é", "..", "a b", "NaN",
    "'; drop table", "Infinity", "1e999", "realised.saving", "usage.x",
    "driver.saving", "__proto__", "\n", "a.b", "-", "null", "\ufeff",
)  # fmt: skip
LEAVES = (
    "0", "1", "x", "y", "t", "1e15", "1e-15", "x - x", "y * 0", "-1", "999999999999999", "0.1", "t - 3",
)  # fmt: skip
WRAPS = (
    "({0}) * ({1})", "({0}) / ({1})", "({0}) ^ ({1})", "exp({0})", "log({0})", "sqrt({0})", "({0}) - ({1})",
    "min({0}, {1})", "max({0}, {1})", "abs({0})", "-({0})", "if({0} > {1}, {0}, {1})", "prev({0}, init=0)",
    "({0}) + ({1})", "floor({0})", "({0}) ^ 64",
)  # fmt: skip


@dataclass(frozen=True)
class HostileModel:
    """What it attacks with, and its text."""

    kind: str
    text: str


def _formula(rng: random.Random, depth: int) -> str:
    """Values of every size, divided, raised and fed back; now and then of a depth that no parser takes."""
    if depth == 0:
        return rng.choice(LEAVES)
    wrap = rng.choice(WRAPS)
    return wrap.format(_formula(rng, depth - 1), _formula(rng, rng.randrange(depth)))


def _sections(rng: random.Random) -> dict[str, Any]:
    """A model of two inputs, some variables and a driver, that holds together if its formulas do."""
    return {
        "inputs": {
            "x": {"value": rng.choice(VALUES)},
            "y": {"bind": {"metric": "usage.y", "agg": rng.choice(["sum", "mean", "max", "last"])}, "missing": "zero"},
        },
        "variables": {f"v{place}": _formula(rng, rng.randrange(5)) for place in range(3)},
        "drivers": {"saving": {"kind": "cost_saving", "expr": f"({_formula(rng, 2)}) * 1 USD"}},
        "outputs": ["npv", "irr", "roi", "payback"],
        "scenarios": {"base": {}},
    }


def _cycle(rng: random.Random, sections: dict[str, Any]) -> None:
    size = rng.choice([1, 2, 50])
    sections["variables"] = {f"c{place}": f"c{(place + 1) % size} + 1" for place in range(size)}


def _deep(rng: random.Random, sections: dict[str, Any]) -> None:
    opened = rng.choice(["(", "-", "abs(", "not ", "1^", "[", "prev("])
    sections["variables"]["v1"] = opened * rng.choice([150, 201, 5_000]) + "x" + ")" * rng.choice([0, 150])


def _division(rng: random.Random, sections: dict[str, Any]) -> None:
    below = rng.choice(["0", "x - x", "t - 3", "y - y", "0 * x", "floor(0.5)"])
    sections["drivers"]["saving"]["expr"] = f"{rng.choice(['1', 'x', 't', '0'])} USD / ({below})"


def _exponent(rng: random.Random, sections: dict[str, Any]) -> None:
    endless = "1e308 * 1e308 - 1e308 * 1e308"
    tower = rng.choice(["10^308 * 10", "9^9^9^9", "exp(exp(exp(9)))", "(0 - 1)^0.5", "0^(0-1)", endless])
    sections["variables"]["v2"] = tower
    sections["drivers"]["saving"]["expr"] = "v2 * 1 USD"


def _number(rng: random.Random, sections: dict[str, Any]) -> None:
    raw = rng.choice(
        [
            "NaN",
            "1e308",
            "9007199254740993",
            "Infinity",
            "-Infinity",
            "1e999",
            "1" * 5_000,
            "0x10",
            "1_000",
            "-0",
            "1e-999",
        ]
    )
    sections["inputs"]["x"] = {"value": "RAW"}
    sections["RAW"] = raw


def _name(rng: random.Random, sections: dict[str, Any]) -> None:
    where = rng.choice(["inputs", "variables", "drivers", "scenarios"])
    sections[where] = sections[where] | {rng.choice(TEXTS): rng.choice([{"value": 1}, "1", {}, None])}


def _text(rng: random.Random, sections: dict[str, Any]) -> None:
    chosen = rng.choice(TEXTS)
    place = rng.choice(["owner", "evidence", "label", "unit", "currency", "model", "metric", "description"])
    if place in {"currency", "model", "description"}:
        sections[place] = chosen
    elif place == "metric":
        sections["inputs"]["y"]["bind"]["metric"] = chosen
    else:
        sections["inputs"]["x"][place] = [chosen] if place == "evidence" else chosen


def _axis(rng: random.Random, sections: dict[str, Any]) -> None:
    periods = rng.choice([0, -1, 1, 120, 3_660, 3_661, 10**30, "12", None, 1.5])
    start = rng.choice([None, "commit.start", "9999-12-01", "0001-01-01", "2024-02-30", "\u0000"])
    rate = rng.choice([0, -1, -2, 1e308, 0.1])
    sections["axis"] = {"grain": rng.choice(["month", "quarter", "year", "eon"]), "periods": periods, "start": start}
    sections["axis"]["discount"] = {"rate": rate}


def _plain(_: random.Random, __: dict[str, Any]) -> None:
    return


_ATTACKS = (_plain, _plain, _cycle, _deep, _division, _exponent, _number, _name, _text, _axis)


def models(count: int, seed: int = 7) -> Iterator[HostileModel]:
    """As many models; formulas are wild in all of them."""
    rng = random.Random(seed)
    for number in range(count):
        sections = _sections(rng)
        attack = _ATTACKS[number % len(_ATTACKS)]
        attack(rng, sections)
        raw = sections.pop("RAW", None)
        tree = {"schema": SCHEMA, "model": "tried", "currency": "USD", "axis": {"grain": "month", "periods": 12}}
        tree |= sections
        text = dumps(tree)
        yield HostileModel(attack.__name__.strip("_"), text if raw is None else text.replace('"RAW"', raw))


def actuals(rng: random.Random, months: int = 12) -> pl.DataFrame:
    """METRICS of ``usage.y`` from January 2024 on: absent, huge, tiny, below 0 or given twice."""
    rows = [
        ("usage.y", None, f"2024-{month:02d}", rng.choice(NUMBERS))
        for month in range(1, months + 1)
        for _ in range(rng.choice([0, 1, 1, 2]))
    ]
    return pl.DataFrame(rows, schema=MODEL_METRICS, orient="row")
