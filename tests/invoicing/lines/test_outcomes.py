"""Charges on an outcome bill approved proposals, each once, with the commit and the run that they come from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, instant, prior_of
from valueverse.invoicing.prior_state import IssuedInvoices, PriorState
from valueverse.invoicing.rendering.document_hash import invoice_id
from valueverse.schemas.invoicing import INVOICE, VOIDED_INVOICES
from valueverse.schemas.settlement import APPROVED_PROPOSALS

TOKENS = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
WON = {"key": "won", "price": {"model": "outcome", "value_model": "savings", "output": "saved", "share": "0.2"}}
USE = {"key": "use", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}


def world(**plan: Any) -> World:
    document = {"key": "pro", "period": {"align": "calendar"}, "charges": [WON, USE]} | plan
    acme = World({"meters": [TOKENS], "plans": [document], "taxes": [{"key": "vat", "percent": "19"}]})
    acme.start("2024-01-01")
    return acme


def proposals(*given: dict[str, Any]) -> pl.DataFrame:
    usual = {
        "tenant": "acme", "customer": "c1", "subscription": "s1", "charge": "won", "amount": Decimal("12.345"),
        "period_from": instant("2024-01-01"), "period_to": instant("2024-02-01"), "currency": "USD",
        "approved_at": instant("2024-02-10"), "model": "savings", "commit_id": "c0ffee", "run_hash": "beef",
        "invoice_id": None,
    }  # fmt: skip
    rows = [usual | {"proposal": f"p{number}"} | row for number, row in enumerate(given)]
    return pl.DataFrame(rows, schema=APPROVED_PROPOSALS)


def won(acme: World, *given: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    """End of the period and amount of each outcome line up to May."""
    found = acme.documents("2023-12-31", "2024-05-01", outcomes=proposals(*given), **more)
    return [
        (document["period"]["to"][:10], line["amount"])
        for document in found
        for line in document["lines"]
        if line["kind"] == "outcome"
    ]


def test_a_proposal_stands_on_the_first_invoice_that_closes_after_its_approval() -> None:
    assert won(world(), {}) == [("2024-03-01", "12.35")]
    assert won(world(), {"approved_at": instant("2024-03-01")}) == [("2024-04-01", "12.35")]


def test_an_outcome_line_says_which_commit_and_run_it_comes_from() -> None:
    acme = world()
    (document,) = acme.documents("2024-02-01", "2024-03-01", outcomes=proposals({}))[-1:]
    (line,) = (line for line in document["lines"] if line["kind"] == "outcome")
    assert (line["key"], line["amount_precise"], line["meter"], line["quantity"]) == ("won", "12.345", None, None)
    assert line["service_period"] == {"from": "2024-01-01T00:00:00Z", "to": "2024-02-01T00:00:00Z"}
    assert line["explains"] == "value model savings, commit c0ffee, run beef, proposal p0"
    assert document["subtotal"] == "12.35"


def test_two_proposals_of_a_charge_are_two_lines_and_a_true_up_may_be_negative() -> None:
    acme = world()
    assert won(acme, {}, {"amount": Decimal("-2.5")}) == [("2024-03-01", "12.35"), ("2024-03-01", "-2.50")]
    assert won(acme, {}, {"proposal": "p0"}) == [("2024-03-01", "12.35")]


def test_a_proposal_without_a_closing_invoice_to_come_makes_its_own() -> None:
    acme = world()
    acme.record("subscription.ended", "2024-02-05", {"subscription": "s1"})
    assert won(acme, {}) == [("2024-02-10", "12.35")]
    assert won(acme, {"approved_at": instant("2024-02-04")}) == [("2024-02-05", "12.35")]


def test_an_approval_after_the_runs_present_waits() -> None:
    acme = world()
    acme.record("subscription.ended", "2024-02-05", {"subscription": "s1"})
    assert won(acme, {}, closed_by=instant("2024-02-09")) == []


def test_a_proposal_on_an_invoice_is_not_billed_again() -> None:
    acme = world()
    first = acme.bill("2024-01-01", "2024-03-01", outcomes=proposals({}))
    closing = _closing(first)
    books = prior_of(first.invoices)
    assert won(acme, {"invoice_id": closing}, prior=books) == []


def _closing(billed: Any) -> str:
    (row,) = billed.lines.filter(pl.col("kind") == "outcome").select(INVOICE).iter_rows(named=True)
    return invoice_id(row)


def test_an_outcome_is_outside_the_commitment_and_has_its_charges_tax() -> None:
    acme = world(charges=[WON | {"taxes": ["vat"]}, USE], commitment={"minimum": "20"})
    (document,) = acme.documents("2024-02-02", "2024-03-01", outcomes=proposals({"amount": Decimal(15)}))
    assert [(line["kind"], line["amount"]) for line in document["lines"]] == [
        ("outcome", "15.00"),
        ("usage", "0.00"),
        ("minimum", "20.00"),
    ]
    assert document["tax_total"] == "2.85"


def test_a_proposal_known_after_the_last_invoice_was_finalised_makes_its_own() -> None:
    acme = world()
    acme.record("subscription.ended", "2024-02-15", {"subscription": "s1"})
    books = prior_of(acme.bill("2024-02-02", "2024-02-15").invoices)
    assert won(acme, {}, prior=books, closed_by=instant("2024-03-02")) == [("2024-02-10", "12.35")]


def test_a_proposal_whose_own_invoice_was_voided_is_billed_on_another_invoice() -> None:
    acme = world()
    acme.record("subscription.ended", "2024-02-05", {"subscription": "s1"})
    made = acme.bill("2024-02-02", "2024-02-15", outcomes=proposals({})).invoices
    own = prior_of(made.filter(pl.col("invoice_type") == "one_off")).issued.not_voided
    voided = VOIDED_INVOICES.conform(own.with_columns(pl.lit(instant("2024-02-12")).alias("voided_at")))
    prior = PriorState(IssuedInvoices(voided=voided))
    again = acme.bill("2024-02-02", "2024-02-15", outcomes=proposals({}), prior=prior).invoices
    assert again.filter(pl.col("invoice_type") == "one_off").select("revision", "total_minor").rows() == [(1, 1470)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"customer": "c9"}, "unknown_subscription"),
        ({"period_from": instant("2023-01-01"), "period_to": instant("2023-02-01")}, "unknown_subscription"),
        ({"charge": "use"}, "unknown_charge"),
        ({"charge": "lost"}, "unknown_charge"),
        ({"period_to": instant("2024-01-01")}, "bad_period"),
        ({"amount": Decimal(10**12)}, "out_of_range"),
        ({"currency": "EUR"}, "wrong_currency"),
    ],
)
def test_a_proposal_that_cannot_be_billed_is_listed_with_the_reason(wrong: dict[str, Any], reason: str) -> None:
    acme = world()
    billed = acme.bill("2024-02-02", "2024-03-01", outcomes=proposals(wrong, {}))
    assert billed.rejected.select("event_id", "reason").rows() == [("p0", reason)]
    assert billed.lines.filter(pl.col("kind") == "outcome").height == 1


def billed_on(acme: World, *given: dict[str, Any]) -> list[tuple[str, str]]:
    """Subscription and amount of each outcome line up to May."""
    found = acme.documents("2023-12-31", "2024-05-01", outcomes=proposals(*given))
    return [
        (document["subscription"], line["amount"])
        for document in found
        for line in document["lines"]
        if line["kind"] == "outcome"
    ]


def test_of_two_subscriptions_with_the_charge_the_one_that_a_proposal_names_is_billed() -> None:
    acme = world()
    acme.start("2023-12-01", subscription="s2")
    assert billed_on(acme, {}) == [("s1", "12.35")]
    assert billed_on(acme, {"subscription": "s2"}) == [("s2", "12.35")]


def test_where_the_subscription_named_cannot_be_billed_for_a_proposal_the_first_one_that_runs_is() -> None:
    acme = world()
    acme.start("2023-11-01", subscription="s0")
    acme.record("subscription.ended", "2024-01-15", {"subscription": "s0"})
    acme.start("2023-12-01", subscription="s3")
    assert billed_on(acme, {"subscription": "s9"}) == [("s3", "12.35")]


def test_lines_name_the_proposals_that_they_bill() -> None:
    billed = world().bill("2024-02-02", "2024-03-01", outcomes=proposals({"proposal": "p, 7"}))
    assert billed.lines.drop_nulls("proposal").select("tenant", "kind", "proposal").rows() == [
        ("acme", "outcome", "p, 7")
    ]
