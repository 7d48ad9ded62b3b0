"""Hostile and careless lines: each gets one well-formed answer, and no other line notices."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.services.calculators import invoice, meter, periods, price, prorate

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = {"from": "2026-01-01", "to": "2026-02-01"}
UNIT = {"model": "standard", "unit": "1"}
GOOD: dict[str, tuple[Any, dict[str, Any]]] = {
    "price": (price.answer, {"price": UNIT, "quantity": "1"}),
    "meter": (meter.meter_documents, {"meter": {"aggregation": "count"}, "period": JANUARY, "events": []}),
    "periods": (periods.answer, {"period": {"unit": "month"}, "anchor": "2026-01-01", **JANUARY}),
    "prorate": (prorate.answer, {"amount": "1", "period": JANUARY, "used": JANUARY}),
    "invoice": (invoice.answer, {"lines": [{"key": "a", "amount": "1"}]}),
}
BROKEN = [
    b"{", b"[]", b"null", b"7", b'"text"', b"\xff\xfe", b'{"id":1,"id":2}', b'{"x":NaN}', b'{"x":-Infinity}',
    b'{"id":"deep","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"id":"odd","surprise":1}', b'{"id":"none"}',
    b'{"id":"zone","timezone":"Mars/Olympus"}', b'{"id":"path","timezone":"../../etc/passwd"}', b"{}",
]  # fmt: skip
NOT_OF_THE_TYPE: list[Any] = [None, True, "", "x", "1_000", "0x10", "1e999999999", "9" * 500, [], {}, [[1]], -1, "NaN"]


def answered(handler: Any, lines: list[bytes], folder: Path) -> tuple[int, list[dict[str, Any]]]:
    file = folder / "lines.ndjson"
    file.write_bytes(b"\n".join(lines))
    out = io.StringIO()
    code = run_calculator(handler, file, out)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def written(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("command", GOOD)
def test_broken_lines_are_refused_one_by_one(command: str, tmp_path: Path) -> None:
    handler, good = GOOD[command]
    lines = [line for bad in BROKEN for line in (bad, written({"id": "good"} | good))]
    code, answers = answered(handler, lines, tmp_path)
    assert code == 1
    assert len(answers) == len(lines)
    assert all(set(answer["error"]) == {"code", "message", "path"} for answer in answers[::2])
    assert all(answer["id"] == "good" and "error" not in answer for answer in answers[1::2])


@pytest.mark.parametrize("command", GOOD)
def test_a_field_of_any_wrong_type_is_answered_and_never_raises(command: str, tmp_path: Path) -> None:
    handler, good = GOOD[command]
    places: list[tuple[str, str | None]] = [(name, None) for name in good]
    places += [(name, inner) for name, value in good.items() if isinstance(value, dict) for inner in value]
    lines = []
    for wrong in NOT_OF_THE_TYPE:
        for name, inner in places:
            document = json.loads(json.dumps(good))
            if inner is None:
                document[name] = wrong
            else:
                document[name][inner] = wrong
            lines.append(written({"id": f"{name}.{inner}"} | document))
    _, answers = answered(handler, lines, tmp_path)
    assert len(answers) == len(lines)
    for answer in answers:
        assert "error" not in answer or set(answer["error"]) == {"code", "message", "path"}


BUCKETED = {"model": "bucketed", "every": "hour", "price": UNIT, "commitment": "9", "true_up": True}


@pytest.mark.parametrize(
    ("line", "code", "path"),
    [
        ({"price": {"model": "capacity", "tiers": [{"amount": "1"}]}, "quantity": "7"}, "missing_quantity", "quantity"),
        ({"price": {"model": "capacity", "tiers": [{"amount": "1"}]}, "events": []}, "missing_quantity", "events"),
        ({"price": BUCKETED, "buckets": [{"quantity": "1", "hour": 9}]}, "unknown_field", "buckets[0].hour"),
        (
            {"price": BUCKETED | {"price": {"model": "dynamic", "amount": "x"}}, "buckets": ["1"]},
            "bad_price",
            "price.price",
        ),
        (
            {"price": BUCKETED | {"price": {"model": "percentage", "rate": "1", "fixed": "1"}}, "events": []},
            "missing_buckets",
            "events",
        ),
    ],
)
def test_what_a_price_cannot_read_is_refused_and_not_priced_at_a_guess(
    line: dict[str, Any], code: str, path: str
) -> None:
    (found,) = price.answer([line])
    assert not isinstance(found, dict), found
    assert (found.code, found.path) == (code, path)


def test_no_bucket_costs_nothing_but_the_chain_around_it_holds() -> None:
    lines = [{"price": BUCKETED, "buckets": []}, {"price": BUCKETED, "buckets": [], "minimum": "3"}]
    assert [found["amount"] for found in price.answer(lines) if isinstance(found, dict)] == ["0", "3"]
