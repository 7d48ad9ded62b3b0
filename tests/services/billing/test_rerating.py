"""Re-rating on a real warehouse: a plan, what it books, and when it is refused."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.support.ledger import instant
from tests.support.warehouse_billing import (
    CORRECTED,
    LATER,
    NOVEMBER,
    acme,
    dearer,
    rows,
    run,
    store,
)
from valueverse.catalog.document import parse_catalog
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing import rerate
from valueverse.services.billing.explanations import invoice_in_sentences
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.billing.rerate import RerateRequest
from valueverse.services.price_changes.rerate_review import review

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_a_re_rating_plan_shows_the_difference_and_applying_it_books_it_once(settings: Settings) -> None:
    world = acme(2)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    lake = Lake(settings.lake_url)
    asked = RerateRequest(("acme",), date(2023, 11, 1), date(2023, 12, 31), (), dearer())
    shown = rerate.plan(settings, lake, asked, as_of=first)[0]
    assert [(row["customer"], row["invoice"], row["difference"]) for row in shown["rows"]] == [
        ("c0", "acme-000001", "1.00"),
        ("c1", "acme-000002", "1.00"),
    ]
    assert rows(settings, CORRECTED) == []
    found = review(settings, shown)
    assert [(one.customer, one.invoice, one.before, one.after) for one in found.invoices] == [
        ("c0", "acme-000001", Decimal("11.00"), Decimal("12.00")),
        ("c1", "acme-000002", Decimal("11.00"), Decimal("12.00")),
    ]
    assert rerate.apply(settings, lake, shown, asked, as_of=first) == 2
    for _ in range(2):
        run(world, settings)
        assert rows(settings, CORRECTED) == [("adjustment", 100)] * 2
    assert reproduce(settings, lake, [date(2023, 12, 1)])["ok"].all()
    assert [one.before for one in review(settings, shown).invoices] == [Decimal("12.00")] * 2, "what is booked counts"
    with connect(settings, "builder") as connection:
        lines = invoice_in_sentences(connection, lake, "acme-000003", "usage", 5).lines
    (explained,) = (words.sentences for words, data in lines if data["kind"] == "adjustment")
    assert explained[1:] == [
        (
            "Billed before: 1.00 USD (100 of 1 event). Due as known now: 2.00 USD (100 of 1 event). "
            "The difference is 1.00 USD more."
        ),
        "None of its events came late, was amended or voided: what holds for it changed.",
        f"It was re-rated under the catalog {shown['catalog_hash'][:8]}.",
    ]


def test_a_plan_that_events_have_overtaken_is_not_applied(settings: Settings) -> None:
    world = acme(1)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    asked = RerateRequest(("acme",), date(2023, 11, 1), date(2023, 12, 31), ("c0",), dearer())
    shown = rerate.plan(settings, Lake(settings.lake_url), asked, as_of=first)[0]
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-19"))
    with pytest.raises(RefusalError, match="make a new plan") as refused:
        rerate.apply(settings, store(world, settings), shown, asked, as_of=first)
    assert refused.value.code == "plan_changed"


def test_the_days_of_a_plan_are_those_of_the_tenant(settings: Settings) -> None:
    world = acme(1)
    created = {"tenant": "acme", "timezone": "Asia/Tokyo", "currency": "USD"}
    world.record("tenant.created", "2023-01-01", created)
    run(world, settings)
    lake = Lake(settings.lake_url)
    asked = RerateRequest(("acme",), date(2023, 11, 30), date(2023, 12, 1), (), dearer())
    shown = rerate.plan(settings, lake, asked, as_of=LATER)[0]
    assert [row["invoice"] for row in shown["rows"]] == ["acme-000001"], "it closes on 30 November in UTC"


@pytest.mark.parametrize(
    ("rows_of_plan", "code"),
    [
        ([{"tenant": "acme", "invoice": "acme-000099", "difference": "1.00"}], "plan_changed"),
        ([{"tenant": "acme", "invoice": "acme-000001", "difference": "much"}], "bad_plan"),
        ([{"tenant": "acme"}], "bad_plan"),
    ],
)
def test_a_plan_of_other_invoices_is_not_reviewed(
    settings: Settings, rows_of_plan: list[dict[str, str]], code: str
) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    plan = {
        "schema": rerate.PLAN_SCHEMA,
        "tenants": ["acme"],
        "customers": [],
        "from": "2023-11-01",
        "to": "2023-12-31",
    }
    whole = plan | {"rows": rows_of_plan}
    with pytest.raises(RefusalError) as refused:
        review(settings, whole | {"plan_id": rerate.plan_hash(whole)})
    assert refused.value.code == code


def test_a_plan_that_was_edited_is_not_reviewed_as_the_one_that_is_applied(settings: Settings) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    asked = RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), (), dearer())
    shown = rerate.plan(settings, Lake(settings.lake_url), asked, as_of=LATER)[0]
    assert review(settings, shown).plan == shown
    for difference in ("0.01", float("nan")):
        shown["rows"][0]["difference"] = difference
        with pytest.raises(RefusalError) as refused:
            review(settings, shown)
        assert refused.value.code == "plan_edited"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (RerateRequest(("acme",), date(2020, 1, 1), date(2020, 2, 1)), "no_invoices"),
        (RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), ("nobody",)), "no_invoices"),
    ],
)
def test_a_plan_for_nothing_is_refused(settings: Settings, asked: RerateRequest, code: str) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    with pytest.raises(RefusalError) as refused:
        rerate.plan(settings, Lake(settings.lake_url), asked, as_of=LATER)
    assert refused.value.code == code


def test_a_catalog_with_other_meters_is_published_and_not_re_rated_whatever_they_are_called(settings: Settings) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    document = json.loads(acme(0).facts[0]["data"])
    document["meters"][0] |= {"unit": "tokens", "translations": {"de": {"name": "Token"}}}
    renamed = RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), (), parse_catalog(document))
    assert rerate.plan(settings, Lake(settings.lake_url), renamed, as_of=LATER)
    document["meters"][0]["value"] = "other"
    asked = RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), (), parse_catalog(document))
    with pytest.raises(RefusalError) as refused:
        rerate.plan(settings, Lake(settings.lake_url), asked, as_of=LATER)
    assert refused.value.code == "other_meters"
