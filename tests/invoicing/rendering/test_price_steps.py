"""What an invoice shows between the tiers of a line and its amount."""

from __future__ import annotations

from typing import Any

from tests.invoicing.rendering.test_presentation import line, shown

FEBRUARY = {"from": "2024-01-31T23:00:00Z", "to": "2024-02-09T23:00:00Z"}
"""Nine days in Berlin."""
TIER = {"from": "0", "to": None, "quantity": "500", "unit": "0.02", "flat": "5", "amount": "15"}


def steps(terms: dict[str, Any], *lines: dict[str, Any], locale: str = "en") -> list[list[list[str]]]:
    """Steps of usage lines that the charge ``calls`` prices by these terms."""
    tiers = {"model": "graduated", "tiers": [{"up_to": None, "unit": "0.02", "flat": "5"}]}
    catalog = {"plans": [{"key": "pro", "charges": [{"key": "calls", "meter": "calls", "price": tiers} | terms]}]}
    found = shown(locale, catalog=catalog, lines=list(lines))["lines"]
    return [one["steps"] for one in found]


def used(amount: str, quantity: str = "500", **more: Any) -> dict[str, Any]:
    return line(
        key="calls", kind="usage", description="calls", meter="calls", quantity=quantity, amount_precise=amount,
        amount="1.00", **{"tiers": [TIER], **more},
    )  # fmt: skip


def test_tiers_that_add_up_have_no_steps() -> None:
    assert steps({"discount_percent": "0", "minimum": "1"}, used("15")) == [[]]
    assert steps({"minimum": "99"}, line()) == [[]]


def test_what_is_included_and_a_discount_are_steps() -> None:
    terms = {"included": "100", "discount_percent": "10"}
    assert steps(terms, used("13.5", "600")) == [
        [["100 included, not charged", ""], ["Discount of 10 %", "\N{MINUS SIGN}1.50"]]
    ]
    # Only a part of what is included fell to this line.
    assert steps(terms, used("13.5", "540"))[0][0] == ["40 included, not charged", ""]
    assert steps(terms, used("13.5", "700"), locale="de") == [[["Rabatt von 10 %", "\N{MINUS SIGN}1,50"]]]


def test_limits_are_steps_after_the_discount() -> None:
    limits = {"discount_percent": "10", "minimum": "20", "maximum": "12.00"}
    assert steps(limits, used("12"))[0][1:] == [["At most 12.00\xa0EUR for this charge", "\N{MINUS SIGN}1.50"]]
    assert steps(limits, used("20"))[0][1:] == [["At least 20.00\xa0EUR for this charge", "6.50"]]


def test_a_limit_of_a_part_of_a_period_says_of_which() -> None:
    part = used("4.5", service_period=FEBRUARY)
    assert steps({"maximum": "14.5"}, part) == [
        [["At most 14.50\xa0EUR for this charge (9 of 29 days)", "\N{MINUS SIGN}10.50"]]
    ]
    # 9 of 28.8 days is no part of a period.
    other = "Discount, minimum, maximum, or billed before"
    assert steps({"maximum": "14.4"}, part) == [[[other, "\N{MINUS SIGN}10.50"]]]


def test_a_maximum_of_several_lines_is_a_step_of_each() -> None:
    both = [used(amount, dimensions={"region": region}) for region, amount in (("eu", "4"), ("us", "8"))]
    assert [one[0][0] for one in steps({"maximum": "12"}, *both)] == ["At most 12.00\xa0EUR for this charge"] * 2


def test_what_the_catalog_does_not_prove_is_one_step_that_says_what_it_may_be() -> None:
    """Overrides of a subscription, or what a threshold invoice billed."""
    other = "Discount, minimum, maximum, or billed before"
    for terms in ({}, {"discount_percent": "10"}, {"minimum": "1"}, {"meter": "other"}):
        assert steps(terms, used("7.5")) == [[[other, "\N{MINUS SIGN}7.50"]]]


def test_a_price_without_tiers_is_a_step_where_it_leads_to_the_amount() -> None:
    price: dict[str, Any] = {"price": {"model": "standard", "unit": "0.01"}, "included": "100", "minimum": "30"}
    flat = used("30", "700", tiers=[])
    assert steps(price, flat) == [
        [["All 600 at 0.01 each", "6.00"], ["At least 30.00\xa0EUR for this charge", "24.00"]]
    ]
    assert steps(price, used("30", "70", tiers=[])) == [[["At least 30.00\xa0EUR for this charge", "30.00"]]]
    assert steps(price, used("31", "700", tiers=[])) == [[]]
    assert steps({"price": {"model": "package", "size": "5", "amount": "1"}}, used("31", "7", tiers=[])) == [[]]


def test_braces_in_the_name_of_a_unit_are_shown() -> None:
    meter = {"key": "calls", "unit": "{n} calls"}
    charge = {"key": "calls", "meter": "calls", "convert": {"divide_by": "10"}, "price": {"tiers": [{"unit": "0.02"}]}}
    catalog = {"meters": [meter], "plans": [{"key": "pro", "charges": [charge]}]}
    (found,) = shown(catalog=catalog, lines=[used("15")])["lines"]
    assert found["tiers"][0][0] == "0 to 500 at 0.02 per 10 {n} calls, plus 5.00"


def test_a_tier_that_nothing_fell_into_is_no_row() -> None:
    empty = TIER | {"quantity": "0", "amount": "0", "flat": "0"}
    assert shown(catalog=None, lines=[used("0", "0", tiers=[empty])])["lines"][0]["tiers"] == []
    flat = TIER | {"quantity": "0", "amount": "5"}
    assert shown(catalog=None, lines=[used("5", "0", tiers=[flat])])["lines"][0]["tiers"] == [
        ["0 to 0 at 0.02 each, plus 5.00", "5.00"]
    ]
