"""Bad input of ``valueverse invoice``: a code and the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from valueverse.services.calculators.invoice import answer

OK = {"lines": [{"key": "a", "amount": "1"}]}
WALLET = {"wallet": "w", "balance": "1"}


def refused(**document: Any) -> tuple[str, str]:
    found = next(iter(answer([document])))
    assert not isinstance(found, dict), found
    return found.code, found.path


def line(key: str, amount: str, **rest: Any) -> dict[str, Any]:
    return {"key": key, "amount": amount, **rest}


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({}, "missing_field", "lines"),
        ({"lines": {}}, "malformed", "lines"),
        ({"lines": ["a"]}, "malformed", "lines[0]"),
        ({"lines": [{"key": "a"}]}, "missing_field", "lines[0].amount"),
        ({"lines": [{"amount": "1"}]}, "missing_field", "lines[0].key"),
        ({"lines": [{"key": "a\n", "amount": "1"}]}, "bad_key", "lines[0].key"),
        ({"lines": [{"key": "", "amount": "1"}]}, "bad_key", "lines[0].key"),
        ({"lines": [line("a", "1", taxpercent="1")]}, "unknown_field", "lines[0].taxpercent"),
        ({"lines": [line("a", "1", kind="charge")]}, "bad_kind", "lines[0].kind"),
        ({"lines": [line("a", "1", kind=["fee"])]}, "bad_kind", "lines[0].kind"),
        ({"lines": [line("a", "1", tax_percent="-1")]}, "out_of_range", "lines[0].tax_percent"),
        ({"lines": [line("a", "1", tax_percent="1e6")]}, "out_of_range", "lines[0].tax_percent"),
        ({"lines": [line("a", "1", plan=["pro"])]}, "bad_key", "lines[0].plan"),
        ({"lines": [line("a", "ten")]}, "not_a_number", "lines[0].amount"),
        ({"lines": [{"key": "a", "amount": 0.1}]}, "inexact_number", "lines[0].amount"),
        ({"lines": [line("a", "1e19")]}, "out_of_range", "lines[0].amount"),
        ({"lines": [line("a", "1e40")]}, "out_of_range", "lines[0].amount"),
        ({"lines": [line("a", "-1e19")]}, "out_of_range", "lines[0].amount"),
        ({"lines": [line("a", "1e-19")]}, "out_of_range", "lines[0].amount"),
        ({"lines": [line("a", "9e18"), line("b", "-9e18")]}, "out_of_range", "lines"),
        ({"lines": [line("a", "1")] * 50_001}, "too_many", "lines"),
        ({**OK, "currency": "XAU"}, "unknown_currency", "currency"),
        ({**OK, "currency": 840}, "unknown_currency", "currency"),
        ({**OK, "issued_on": "2026-02-30"}, "bad_time", "issued_on"),
        ({**OK, "issued_on": "tomorrow"}, "bad_time", "issued_on"),
        ({**OK, "timezone": "Mars"}, "unknown_timezone", "timezone"),
        ({**OK, "timezone": "\ud800"}, "unknown_timezone", "timezone"),
        ({**OK, "rounding": {"mode": "ceil"}}, "bad_rounding", "rounding.mode"),
        ({**OK, "wallet": []}, "unknown_field", "wallet"),
        ({**OK, "coupons": [{"key": "c"}]}, "bad_coupon", "coupons[0]"),
        ({**OK, "coupons": [{"key": "c", "amount": "1", "percent": "1"}]}, "bad_coupon", "coupons[0]"),
        ({**OK, "coupons": [{"key": "c", "percent": "101"}]}, "out_of_range", "coupons[0].percent"),
        ({**OK, "coupons": [{"key": "c", "amount": "-1"}]}, "out_of_range", "coupons[0].amount"),
        ({**OK, "coupons": [{"key": "c", "amount": "1", "applied_at": "x"}]}, "bad_time", "coupons[0].applied_at"),
        ({**OK, "coupons": [{"key": "c", "amount": "1", "applies_to": []}]}, "malformed", "coupons[0].applies_to"),
        (
            {**OK, "coupons": [{"key": "c", "amount": "1", "applies_to": {"charge": []}}]},
            "unknown_field",
            "coupons[0].applies_to.charge",
        ),
        (
            {**OK, "coupons": [{"key": "c", "amount": "1", "applies_to": {"charges": "x"}}]},
            "malformed",
            "coupons[0].applies_to.charges",
        ),
        ({**OK, "commitment": "100"}, "malformed", "commitment"),
        ({**OK, "commitment": {}}, "missing_field", "commitment.minimum"),
        ({**OK, "commitment": {"minimum": "-1"}}, "out_of_range", "commitment.minimum"),
        (
            {**OK, "commitment": {"minimum": "1", "proration": {"days": 31, "of": 30}}},
            "bad_proration",
            "commitment.proration",
        ),
        ({**OK, "credit_notes": [{"key": "n", "amount": "-1"}]}, "out_of_range", "credit_notes[0].amount"),
        (
            {**OK, "credit_notes": [{"key": "n", "amount": "1", "created_at": 5}]},
            "bad_time",
            "credit_notes[0].created_at",
        ),
        ({**OK, "wallets": [WALLET | {"balance": "-1"}]}, "out_of_range", "wallets[0].balance"),
        ({**OK, "wallets": [WALLET | {"kind": "gift"}]}, "bad_kind", "wallets[0].kind"),
        ({**OK, "wallets": [WALLET | {"restrict_to": {"plans": []}}]}, "unknown_field", "wallets[0].restrict_to.plans"),
        ({**OK, "wallets": [WALLET | {"restrict_to": [5]}]}, "bad_key", "wallets[0].restrict_to[0]"),
        ({**OK, "wallets": [WALLET | {"expires_at": "2026-01-01"}]}, "missing_field", "issued_on"),
    ],
)
def test_bad_input_is_refused_with_its_place(document: dict[str, Any], code: str, path: str) -> None:
    assert refused(**document) == (code, path)


def test_an_unknown_field_names_the_one_that_was_meant() -> None:
    found = next(iter(answer([{"lines": [{"key": "a", "amuont": "1"}]}])))
    assert not isinstance(found, dict)
    assert "did you mean 'amount'?" in found.message
