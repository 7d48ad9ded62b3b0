"""What an invoice shows between the tiers of a line and its amount."""

from __future__ import annotations

from typing import Any

import pytest

from tests.invoicing.rendering.test_presentation import document, line, shown

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
        ["0 at 0.02 each, plus 5.00", "5.00"]
    ]


def tiers(locale: str, model: str, terms: list[dict[str, Any]], *found: dict[str, Any]) -> list[str]:
    """The texts of a line's tiers that a price of this model has."""
    charge = {"key": "calls", "meter": "calls", "price": {"model": model, "tiers": terms}}
    lines = [used("1", "17", tiers=list(found))]
    (one,) = shown(locale, catalog={"plans": [{"key": "pro", "charges": [charge]}]}, lines=lines)["lines"]
    return [text for text, _ in one["tiers"]]


BLOCKS = [{"up_to": "10", "unit": "1"}, {"up_to": None, "unit": "0.7", "per": "4", "flat": "1"}]
OF_BLOCKS = {"from": "10", "to": None, "quantity": "17", "unit": "0.7", "flat": "1", "amount": "4.5"}


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "All 17: 5 \N{MULTIPLICATION SIGN} 0.70 per started block of 4, plus 1.00"),
        ("de", "Alle 17: 5 \N{MULTIPLICATION SIGN} 0,70 je angefangene 4, zuzüglich 1,00"),
        ("fr", "17 au total : 5 \N{MULTIPLICATION SIGN} 0,70 par bloc entamé de 4, plus 1,00"),
        ("es", "17 en total: 5 \N{MULTIPLICATION SIGN} 0,70 por bloque iniciado de 4, más 1,00"),
    ],
)
def test_a_tier_of_blocks_states_how_many_were_started_at_which_price(locale: str, text: str) -> None:
    assert tiers(locale, "volume", BLOCKS, OF_BLOCKS) == [text]


def test_a_volume_tier_that_the_catalog_does_not_lead_to_is_no_range() -> None:
    """Overrides of a subscription may have changed the blocks."""
    other = [BLOCKS[0], BLOCKS[1] | {"per": "5"}]
    assert tiers("en", "volume", other, OF_BLOCKS) == ["All 17"]


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        (
            "en",
            [
                "0 to 10: 3 \N{MULTIPLICATION SIGN} 5 per started block of 4, at most 12.00",
                "10 to 110 at 0.10 each, at most 9.00",
            ],
        ),
        (
            "de",
            [
                "0 bis 10: 3 \N{MULTIPLICATION SIGN} 5 je angefangene 4, höchstens 12,00",
                "10 bis 110: je 0,10, höchstens 9,00",
            ],
        ),
    ],
)
def test_a_tier_that_was_cut_states_what_it_costs_at_most(locale: str, texts: list[str]) -> None:
    terms = [{"up_to": "10", "unit": "5.00", "per": "4", "cap": "12"}, {"up_to": None, "unit": "0.10", "cap": "9"}]
    first = {"from": "0", "to": "10", "quantity": "10", "unit": "5.00", "flat": "0", "amount": "12"}
    second = {"from": "10", "to": None, "quantity": "100", "unit": "0.10", "flat": "0", "amount": "9"}
    assert tiers(locale, "graduated", terms, first, second) == texts
    within = second | {"quantity": "50", "amount": "5"}
    assert tiers("en", "graduated", terms, first, within)[1] == "10 to 60 at 0.10 each"


@pytest.mark.parametrize(("level", "text"), [("tier", "0 to 17 at 0.703 each"), ("line", "0 to 17")])
def test_a_tier_that_the_document_rounds_states_its_price(level: str, text: str) -> None:
    tier = {"from": "0", "to": None, "quantity": "17", "unit": "0.703", "flat": "0", "amount": "11.95"}
    basis = document()["basis"] | {"rounding": {"mode": "half_up", "level": level}}
    (found,) = shown(catalog=None, basis=basis, lines=[used("11.95", "17", tiers=[tier])])["lines"]
    assert found["tiers"] == [[text, "11.95"]]


def test_units_that_count_by_days_are_not_all_units_nor_a_range() -> None:
    """Half of a period: the tiers are filled by 200 and 100 units, which count half."""
    terms = [{"up_to": "200", "unit": "1"}, {"up_to": None, "unit": "0.5"}]
    first = {"from": "0", "to": "200", "quantity": "100", "unit": "1", "flat": "0", "amount": "100"}
    second = {"from": "200", "to": None, "quantity": "50", "unit": "0.5", "flat": "0", "amount": "25"}
    assert tiers("en", "graduated", terms, first, second) == ["0 to 100 at 1 each", "50 at 0.50 each"]


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ["0 to 100 at 3 %, plus 1.00", "100 to 150 at 1.5 %"]),
        ("de", ["0 bis 100: 3 %, zuzüglich 1,00", "100 bis 150: 1,5 %"]),
        ("fr", ["De 0 à 100 : 3 %, plus 1,00", "De 100 à 150 : 1,5 %"]),
        ("es", ["De 0 a 100: 3 %, más 1,00", "De 100 a 150: 1,5 %"]),
    ],
)
def test_a_rate_of_a_tier_is_shown_in_percent(locale: str, texts: list[str]) -> None:
    terms = [{"up_to": "100", "rate": "3", "flat": "1"}, {"up_to": None, "rate": "1.5"}]
    first = {"from": "0", "to": "100", "quantity": "100", "unit": "0.03", "flat": "1", "amount": "4"}
    second = {"from": "100", "to": None, "quantity": "50", "unit": "0.015", "flat": "0", "amount": "0.75"}
    assert tiers(locale, "graduated_percentage", terms, first, second) == texts
    # A rate that the subscription has instead is one too.
    assert tiers("en", "graduated_percentage", terms, first | {"unit": "0.04", "amount": "5"}) == [
        "0 to 100 at 4 %, plus 1.00"
    ]


def percentage(terms: dict[str, Any], amount: str, **more: Any) -> list[list[str]]:
    """The steps of 1,000.50 in three events at 3 %."""
    flat = used(amount, "1000.5", tiers=[], event_count=3)
    (found,) = steps({"price": {"model": "percentage", "rate": "3", **terms}} | more, flat)
    return found


def test_a_percentage_is_a_step_where_it_leads_to_the_amount() -> None:
    assert percentage({}, "30.015") == [["3 % of 1,000.5", "30.015"]]
    assert percentage({}, "40", minimum="40") == [
        ["3 % of 1,000.5", "30.015"], ["At least 40.00\xa0EUR for this charge", "9.985"],
    ]  # fmt: skip
    assert percentage({"max_per_event": "99"}, "30.015") == [["3 % of 1,000.5", "30.015"]]
    assert percentage({"max_per_event": "9"}, "27") == []
    # Whether the bound of an event or the minimum of the charge made the amount, the line does not say.
    assert percentage({"max_per_event": "9"}, "40", minimum="40") == []
    assert percentage({"fixed": "0.10"}, "30.315") == [
        ["3 % of 1,000.5", "30.015"],
        ["3 \N{MULTIPLICATION SIGN} 0.10 per event", "0.30"],
    ]
    # A meter that does not add events up is priced as one event.
    assert percentage({"fixed": "0.10"}, "40", minimum="40") == []


@pytest.mark.parametrize("kind", ["usage", "adjustment"])
def test_units_of_several_meters_are_not_added_up(kind: str) -> None:
    price: dict[str, Any] = {"model": "capacity", "tiers": [{"limits": {"calls": 10, "seats": 5}, "amount": 20}]}
    meters = [{"key": "calls", "unit": "calls"}]
    several = used("20", "14", tiers=[]) | {"kind": kind}

    def quantity(price: dict[str, Any]) -> str:
        charge = {"key": "calls", "meter": "calls", "price": price}
        catalog = {"meters": meters, "plans": [{"key": "pro", "charges": [charge]}]}
        (found,) = shown(catalog=catalog, lines=[several])["lines"]
        return str(found["quantity"])

    assert not quantity(price)
    assert not quantity({"model": "capacity", "meters": ["seats"], "tiers": [{"amount": 20}]})
    assert quantity({"model": "capacity", "tiers": [{"limits": {"calls": 10}, "amount": 20}]}) == "14 calls"


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ["without region", "region: None"]),
        ("de", ["ohne region", "region: None"]),
        ("fr", ["sans region", "region: None"]),
        ("es", ["sin region", "region: None"]),
    ],
)
def test_a_value_that_events_lack_is_not_one_called_none(locale: str, texts: list[str]) -> None:
    lines = [used("15", dimensions={"region": value}) for value in (None, "None")]
    assert [one["details"] for one in shown(locale, catalog=None, lines=lines)["lines"]] == [[text] for text in texts]
