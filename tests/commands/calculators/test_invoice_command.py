from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from valueverse.commands.calculators.invoice import register
from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.services.calculators.invoice import answer

if TYPE_CHECKING:
    from pathlib import Path


def totals(lines: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    found = next(iter(answer([{"lines": lines, **rest}])))
    assert isinstance(found, dict), found.as_json()
    return found


def line(key: str, amount: str, **rest: Any) -> dict[str, Any]:
    return {"key": key, "amount": amount, **rest}


def column(found: dict[str, Any], name: str) -> list[str]:
    return [shown[name] for shown in found["lines"]]


def test_the_whole_chain_is_answered_as_the_contract_says() -> None:
    found = totals(
        [line("tokens", "60", tax_percent="19", plan="pro", charge="tokens"), line("seats", "20", kind="fee")],
        currency="USD",
        issued_on="2026-02-01",
        coupons=[{"key": "launch", "percent": "10", "applies_to": {}, "applied_at": "2026-01-01"}],
        commitment={"minimum": "200", "proration": {"days": 15, "of": 30}},
        credit_notes=[{"key": "CN-1", "amount": "30", "created_at": "2026-01-05"}],
        wallets=[{"wallet": "main", "kind": "granted", "priority": 1, "balance": "100"}],
    )
    assert found == {
        "lines": [
            {"key": "tokens", "amount": "60.00", "discount": "6.00", "net": "54.00", "tax": "10.26"},
            {"key": "seats", "amount": "20.00", "discount": "2.00", "net": "18.00", "tax": "0.00"},
        ],
        "commitment_true_up": "20.00",
        "subtotal": "100.00",
        "discounts": [{"key": "launch", "amount": "10.00"}],
        "discount_total": "10.00",
        "taxes": [{"percent": "19", "base": "54.00", "amount": "10.26"}],
        "tax_total": "10.26",
        "total": "100.26",
        "credits": [
            {"kind": "credit_note", "key": "CN-1", "amount": "30.00"},
            {"kind": "wallet", "key": "main", "amount": "70.26"},
        ],
        "credit_total": "100.26",
        "amount_due": "0.00",
        "wallets": [{"wallet": "main", "balance": "29.74"}],
    }


def test_an_amount_keeps_all_its_digits_up_to_the_edge_of_the_range() -> None:
    most = "9999999999999999999.999999999999999999"
    assert totals([line("a", most)])["total"] == "10000000000000000000.00"


def test_an_invoice_without_lines_is_zero() -> None:
    found = totals([])
    assert (found["subtotal"], found["total"], found["amount_due"]) == ("0.00", "0.00", "0.00")


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({}, ["0.01", "0.01", "-0.01"]),
        ({"mode": "half_even"}, ["0.00", "0.00", "0.00"]),
        ({"mode": "up"}, ["0.01", "0.01", "0.00"]),
        ({"mode": "down"}, ["0.00", "0.00", "-0.01"]),
        ({"level": "tier"}, ["0.01", "0.01", "-0.01"]),
        ({"level": "invoice"}, ["0.01", "0.01", "-0.01"]),
    ],
)
def test_lines_round_by_the_policy(policy: dict[str, str], shown: list[str]) -> None:
    lines = [line("a", "0.005"), line("b", "0.005"), line("c", "-0.005")]
    assert column(totals(lines, rounding=policy), "amount") == shown


def test_level_invoice_rounds_the_sum_and_spreads_it_by_largest_remainder() -> None:
    lines = [line(key, "0.333") for key in "abc"]
    found = totals(lines, rounding={"level": "invoice"})
    assert column(found, "amount") == ["0.34", "0.33", "0.33"]
    assert found["subtotal"] == "1.00"
    assert totals(lines)["subtotal"] == "0.99"


@pytest.mark.parametrize(("currency", "total"), [("JPY", "11"), ("BHD", "10.500"), ("USD", "10.50")])
def test_amounts_have_the_decimals_of_the_currency(currency: str, total: str) -> None:
    assert totals([line("a", "10.5")], currency=currency)["total"] == total


def test_narrow_coupons_come_before_wide_ones_whatever_their_time() -> None:
    lines = [line("a", "100", plan="pro", charge="x"), line("b", "100", plan="pro"), line("c", "100")]
    coupons = [
        {"key": "all", "percent": "10", "applied_at": "2026-01-01"},
        {"key": "plan", "amount": "40", "applies_to": {"plans": ["pro"]}, "applied_at": "2026-01-02"},
        {"key": "charge", "percent": "50", "applies_to": {"charges": ["x"]}, "applied_at": "2026-01-03"},
    ]
    found = totals(lines, coupons=coupons)
    assert found["discounts"] == [
        {"key": "charge", "amount": "50.00"},
        {"key": "plan", "amount": "40.00"},
        {"key": "all", "amount": "21.00"},
    ]
    assert column(found, "discount") == ["67.00", "34.00", "10.00"]


def test_coupons_of_one_width_apply_by_time() -> None:
    fixed = {"key": "fixed", "amount": "50"}
    share = {"key": "share", "percent": "10"}
    lines = [line("a", "100")]
    early, late = {"applied_at": "2026-01-01"}, {"applied_at": "2026-01-01T00:00:01Z"}
    assert totals(lines, coupons=[fixed | late, share | early])["discount_total"] == "60.00"
    assert totals(lines, coupons=[fixed | early, share | late])["discount_total"] == "55.00"


def test_a_coupon_for_charges_and_plans_covers_lines_that_match_both() -> None:
    lines = [line("a", "10", plan="pro", charge="x"), line("b", "10", plan="free", charge="x"), line("c", "10")]
    scope = {"charges": ["x"], "plans": ["pro"]}
    found = totals(lines, coupons=[{"key": "c", "percent": "100", "applies_to": scope}])
    assert column(found, "net") == ["0.00", "10.00", "10.00"]


def test_a_line_without_a_charge_is_named_after_it() -> None:
    coupon = {"key": "c", "percent": "50", "applies_to": {"charges": ["tokens"]}}
    wallet = {"wallet": "w", "kind": "granted", "balance": "100", "restrict_to": ["seats"]}
    found = totals([line("tokens", "10"), line("seats", "20"), line("x", "5", charge="tokens")],
                   coupons=[coupon], wallets=[wallet])  # fmt: skip
    assert column(found, "discount") == ["5.00", "0.00", "2.50"]
    assert found["credits"] == [{"kind": "wallet", "key": "w", "amount": "20.00"}]


def test_a_coupon_spreads_by_largest_remainder() -> None:
    lines = [line("a", "1"), line("b", "1"), line("c", "1")]
    found = totals(lines, coupons=[{"key": "c", "amount": "1"}])
    assert column(found, "discount") == ["0.34", "0.33", "0.33"]


def test_a_coupon_stops_at_zero() -> None:
    found = totals([line("a", "10")], coupons=[{"key": "c", "amount": "25"}, {"key": "d", "percent": "10"}])
    assert (found["discount_total"], found["total"]) == ("10.00", "0.00")
    assert found["discounts"] == [{"key": "c", "amount": "10.00"}]


def test_a_coupon_takes_nothing_from_a_correction_nor_the_invoice_below_zero() -> None:
    lines = [line("a", "100", charge="x"), line("back", "-30", kind="adjustment")]
    everything = {"key": "c", "amount": "500"}
    for coupon in (everything, everything | {"applies_to": {"charges": ["x"]}}):
        found = totals(lines, coupons=[coupon])
        assert (column(found, "net"), found["total"]) == (["30.00", "-30.00"], "0.00")
    assert totals([line("back", "-30")], coupons=[everything])["total"] == "-30.00"


def test_invoice_tax_is_the_rounded_sum_of_unrounded_line_taxes() -> None:
    lines = [line(key, "0.33", tax_percent="7.5") for key in "abcd"]
    found = totals(lines)
    assert found["tax_total"] == "0.10"
    assert column(found, "tax") == ["0.03", "0.03", "0.02", "0.02"]
    mixed = totals([line("a", "0.10", tax_percent="5"), line("b", "0.10", tax_percent="6")])
    assert mixed["tax_total"] == "0.01"
    assert [rate["amount"] for rate in mixed["taxes"]] == ["0.00", "0.01"]


def test_a_negative_invoice_gives_its_tax_back_and_takes_no_credit() -> None:
    found = totals(
        [line("a", "-100", kind="adjustment", tax_percent="19")],
        credit_notes=[{"key": "n", "amount": "10"}],
        wallets=[{"wallet": "w", "balance": "10"}],
    )
    assert (found["total"], found["credit_total"], found["amount_due"]) == ("-119.00", "0.00", "-119.00")
    assert found["wallets"] == [{"wallet": "w", "balance": "10.00"}]


@pytest.mark.parametrize(
    ("lines", "true_up"),
    [
        ([line("a", "60")], "40.00"),
        ([line("a", "60"), line("b", "100", kind="one_off"), line("c", "-5", kind="adjustment")], "40.00"),
        ([line("a", "60", kind="fee"), line("b", "50", kind="minimum")], "0.00"),
        ([line("a", "60", kind="outcome"), line("b", "-10", kind="fee")], "50.00"),
        ([], "100.00"),
    ],
)
def test_the_commitment_counts_fees_and_charges_alone(lines: list[dict[str, Any]], true_up: str) -> None:
    assert totals(lines, commitment={"minimum": "100"})["commitment_true_up"] == true_up


def test_the_commitment_is_judged_before_coupons_and_prorated_to_the_cent() -> None:
    found = totals([line("a", "30")], coupons=[{"key": "c", "percent": "100"}], commitment={"minimum": "30"})
    assert found["commitment_true_up"] == "0.00"
    prorated = {"minimum": "100", "proration": {"days": 10, "of": 31}}
    assert totals([line("a", "30")], commitment=prorated)["commitment_true_up"] == "2.26"
    none = {"minimum": "100", "proration": {"days": 0, "of": 31}}
    assert totals([], commitment=none)["commitment_true_up"] == "0.00"


def test_a_coupon_for_the_plan_covers_its_true_up() -> None:
    coupon = {"key": "c", "percent": "10", "applies_to": {"plans": ["pro"]}}
    one = totals([line("a", "60", plan="pro")], coupons=[coupon], commitment={"minimum": "100"})
    assert (one["lines"][0]["discount"], one["discount_total"]) == ("6.00", "10.00")
    two = totals(
        [line("a", "60", plan="pro"), line("b", "0", plan="x")], coupons=[coupon], commitment={"minimum": "100"}
    )
    assert (two["lines"][0]["discount"], two["discount_total"]) == ("6.00", "6.00")


def test_the_true_up_is_taxed_at_the_rate_it_is_given() -> None:
    found = totals([line("a", "60", tax_percent="19")], commitment={"minimum": "100", "tax_percent": "19"})
    assert (found["lines"][0]["tax"], found["tax_total"], found["total"]) == ("11.40", "19.00", "119.00")


def test_credit_notes_pay_oldest_first_and_tax_included() -> None:
    notes = [
        {"key": "new", "amount": "100", "created_at": "2026-02-01"},
        {"key": "old", "amount": "20", "created_at": "2026-01-01"},
    ]
    found = totals([line("a", "100", tax_percent="10")], credit_notes=notes)
    assert [(credit["key"], credit["amount"]) for credit in found["credits"]] == [("old", "20.00"), ("new", "90.00")]


def test_wallets_pay_by_priority_then_granted_then_expiry_then_creation() -> None:
    wallets = [
        {"wallet": "f", "balance": "1"},
        {"wallet": "e", "kind": "purchased", "priority": 2, "balance": "1"},
        {"wallet": "d", "kind": "granted", "priority": 2, "balance": "1", "created_at": "2026-01-02"},
        {"wallet": "c", "kind": "granted", "priority": 2, "balance": "1", "created_at": "2026-01-01"},
        {"wallet": "b", "kind": "granted", "priority": 2, "balance": "1", "expires_at": "2027-01-01"},
        {"wallet": "a", "kind": "purchased", "priority": 1, "balance": "1"},
    ]
    found = totals([line("x", "4.50")], issued_on="2026-03-01", wallets=wallets)
    assert [credit["key"] for credit in found["credits"]] == ["a", "b", "c", "d", "e"]
    assert [wallet["balance"] for wallet in found["wallets"]] == ["1.00", "0.50", "0.00", "0.00", "0.00", "0.00"]


@pytest.mark.parametrize(
    ("expires_at", "due"),
    [("2026-03-01", "10.00"), ("2026-03-01T00:00:01Z", "0.00"), ("2026-03-02", "0.00"), ("2026-02-28", "10.00")],
)
def test_expiry_is_judged_at_issued_on_its_instant_excluded(expires_at: str, due: str) -> None:
    wallet = {"wallet": "w", "balance": "10", "expires_at": expires_at}
    found = totals([line("a", "10")], issued_on="2026-03-01", wallets=[wallet])
    assert (found["amount_due"], found["wallets"][0]["balance"]) == (due, due)


def test_issued_on_begins_where_the_time_zone_says() -> None:
    wallet = {"wallet": "w", "balance": "10", "expires_at": "2026-02-28T23:30:00Z"}
    document = {"issued_on": "2026-03-01", "wallets": [wallet]}
    assert totals([line("a", "10")], **document)["amount_due"] == "10.00"
    assert totals([line("a", "10")], timezone="Europe/Berlin", **document)["amount_due"] == "0.00"


@pytest.mark.parametrize("restriction", [["x"], {"charges": ["x"]}])
def test_a_restricted_wallet_pays_its_charges_tax_included(restriction: Any) -> None:
    lines = [line("a", "50", charge="x", tax_percent="20"), line("b", "50")]
    wallets = [
        {"wallet": "x only", "priority": 1, "balance": "100", "restrict_to": restriction},
        {"wallet": "more x", "priority": 2, "balance": "100", "restrict_to": restriction},
    ]
    found = totals(lines, wallets=wallets)
    assert (found["amount_due"], [wallet["balance"] for wallet in found["wallets"]]) == ("50.00", ["40.00", "100.00"])


def test_money_without_restriction_pays_for_the_rest_first() -> None:
    lines = [line("a", "50", charge="x"), line("b", "50")]
    wallets = [
        {"wallet": "any", "priority": 1, "balance": "30"},
        {"wallet": "x only", "priority": 2, "balance": "100", "restrict_to": ["x"]},
    ]
    assert totals(lines, wallets=wallets)["amount_due"] == "20.00"


def test_what_is_smaller_than_a_minor_unit_stays_in_the_wallet() -> None:
    found = totals([line("a", "10")], wallets=[{"wallet": "w", "balance": "0.019"}])
    assert (found["amount_due"], found["wallets"][0]["balance"]) == ("9.99", "0.009")


def test_the_largest_amounts_stay_exact() -> None:
    found = totals([line("a", "9999999999999999998.994999999999999999", tax_percent="999999.999999999999999999")])
    assert found["subtotal"] == "9999999999999999998.99"
    assert found["tax_total"] == "99999999999999999989899.90"


def test_a_bad_line_is_answered_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "cases.ndjson"
    file.write_text('{"id":1,"lines":[{"key":"a","amount":1.10}]}\n{"id":2,"lines":3}\n{"id":3,"lines":[]}\n')
    out = io.StringIO()
    assert run_calculator(answer, file, out) == 1
    answers = [json.loads(text) for text in out.getvalue().splitlines()]
    assert [found.get("total", found.get("error", {}).get("code")) for found in answers] == [
        "1.10",
        "malformed",
        "0.00",
    ]


def test_the_command_reads_a_file_and_its_help_shows_an_example(tmp_path: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    file = tmp_path / "case.ndjson"
    file.write_text('{"id":"a","lines":[{"key":"a","amount":"10","tax_percent":"19"}]}\n')
    result = CliRunner().invoke(app, ["invoice", "--file", str(file)])
    assert (result.exit_code, json.loads(result.stdout)["total"]) == (0, "11.90")
    assert "valueverse invoice" in CliRunner().invoke(app, ["invoice", "--help"]).stdout
