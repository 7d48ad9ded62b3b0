"""Two tenants whose events have equal sources and ids, billed in one run: each is billed as if it were alone."""

from __future__ import annotations

from typing import Any

from tests.support.companies import as_texts, bill_runs, months, of_invoices
from tests.support.ledger import World, instant

RUNS = months("2024-01-01", 4)
OFFICE = {"source": "office", "id": "3"}
METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
CHARGE = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}


def company(tenant: str, *, coupons: tuple[dict[str, Any], ...] = (), **plan: Any) -> World:
    document = {"key": "pro", "period": {"align": "calendar"}} | plan
    acme = World({"meters": [METER], "plans": [document], "coupons": list(coupons)}, tenant=tenant)
    acme.start("2024-01-01")
    return acme


def with_fee(tenant: str, amount: str = "20", **more: Any) -> World:
    return company(tenant, fees=[{"key": "base", "amount": amount, "timing": "in_arrears"}], **more)


def test_a_wallet_is_not_spent_by_another_tenant_s_wallet_of_the_same_origin() -> None:
    # A wallet of 100 beside fees of 20, 20, 40, 20: it pays all of them, whatever the other one spends.
    acme, birch = with_fee("acme"), with_fee("birch")
    for one in (acme, birch):
        one.record(
            "wallet.granted",
            "2024-01-02",
            {"customer": "c1", "wallet": "w", "amount": "100", "currency": "USD"},
            **OFFICE,
        )
    acme.record(
        "one_off.added",
        "2024-03-10",
        {"customer": "c1", "description": "help", "amount": "20", "currency": "USD"},
        id="help",
    )
    billed = bill_runs([acme, birch], RUNS)
    assert of_invoices(billed, "acme", "credit_total_minor") == [2000, 2000, 4000, 2000]
    assert of_invoices(billed, "birch", "credit_total_minor") == [2000, 2000, 2000, 2000]


def test_a_coupon_for_two_periods_ends_after_two_whatever_another_tenant_s_of_the_same_origin_did() -> None:
    acme = with_fee("acme", coupons=({"key": "half", "percent": "50", "periods": 2},))
    # Birch's holds from March on: its periods are no periods of acme's.
    birch = with_fee("birch", coupons=({"key": "half", "percent": "50", "periods": 2},))
    for one, applied in ((acme, "2024-01-02"), (birch, "2024-03-02")):
        one.record("coupon.applied", applied, {"customer": "c1", "coupon": "half"}, **OFFICE)
    billed = bill_runs([acme, birch], RUNS)
    assert of_invoices(billed, "acme", "total_minor") == [1000, 1000, 2000, 2000]
    assert of_invoices(billed, "birch", "total_minor") == [2000, 2000, 1000, 1000]


def test_both_tenants_one_offs_of_the_same_origin_are_billed() -> None:
    acme, birch = with_fee("acme"), with_fee("birch")
    for one, amount in ((acme, "7"), (birch, "9")):
        one.record(
            "one_off.added",
            "2024-01-10",
            {"customer": "c1", "description": "set-up", "amount": amount, "currency": "USD"},
            **OFFICE,
        )
    billed = bill_runs([acme, birch], RUNS[:1])
    assert of_invoices(billed, "acme", "total_minor") == [2700]
    assert of_invoices(billed, "birch", "total_minor") == [2900]


def test_a_one_off_without_a_subscription_makes_an_invoice_though_another_tenant_s_waits_for_its_next() -> None:
    acme, birch = with_fee("acme"), World({"plans": []}, tenant="birch")
    for one in (acme, birch):
        one.record("customer.created", "2024-01-02", {"customer": "c1"})
        one.record(
            "one_off.added",
            "2024-01-10",
            {"customer": "c1", "description": "set-up", "amount": "7", "currency": "USD"},
            **OFFICE,
        )
    billed = bill_runs([acme, birch], RUNS[:1])
    assert of_invoices(billed, "acme", "invoice_type", "total_minor") == [("period", 2700)]
    assert of_invoices(billed, "birch", "invoice_type", "total_minor") == [("one_off", 700)]


def test_a_correction_takes_the_coupon_of_its_own_tenant() -> None:
    # Acme's coupon takes nothing off 25.00 more; birch's of the same origin takes 67 %.
    worlds = [
        company(tenant, coupons=({"key": "off", "percent": percent},), charges=[CHARGE])
        for tenant, percent in (("acme", "10"), ("birch", "67"))
    ]
    for one in worlds:
        one.record("coupon.applied", "2024-01-02", {"customer": "c1", "coupon": "off"}, **OFFICE)
        one.use("2024-01-05", "tokens", "100")
        one.use("2024-01-06", "tokens", "25", received_at=instant("2024-02-10"))
    billed = bill_runs(worlds, RUNS[:2])
    for one, amount in zip(worlds, (2250, 825), strict=True):
        second = billed[1].lines.filter(tenant=one.tenant, kind="adjustment")
        assert second["amount_minor"].to_list() == [amount]


def test_a_document_says_its_own_tenant_s_state_of_knowledge() -> None:
    acme, birch = with_fee("acme"), with_fee("birch")
    birch.record("customer.updated", "2024-02-02", {"customer": "c1", "name": "later"})
    together = bill_runs([acme, birch], RUNS)
    assert as_texts(together, "acme") == as_texts(bill_runs([acme], RUNS), "acme")
    assert of_invoices(together, "acme", "events_known_at") == [instant("2024-01-01")] * 4


def test_a_note_is_judged_by_what_its_own_tenant_knew() -> None:
    """A correction that gives 20 back is known to acme before the note of 90 is received, so 80 are left of 100 and the
    note is too much. What birch sends after the note does not make the correction a later one."""
    acme, birch = company("acme", charges=[CHARGE]), with_fee("birch")
    acme.use("2024-01-05", "tokens", "100")
    acme.usage[0]["known_until"] = instant("2024-02-10")
    acme.use("2024-01-05", "tokens", "80", received_at=instant("2024-02-10"))
    note = {"invoice": "acme-000001", "amount": "90", "currency": "USD", "reason": "sorry"}
    acme.record("credit_note.issued", "2024-03-02", note, received_at=instant("2024-03-02"))
    birch.record("customer.updated", "2024-03-03", {"customer": "c1", "name": "later"})
    alone, together = bill_runs([acme], RUNS), bill_runs([acme, birch], RUNS)
    assert as_texts(together, "acme") == as_texts(alone, "acme")


def moving(tenant: str, customers: int) -> World:
    """Customers who change between two plans with equal fees in mid-period: a credit and a charge tie."""
    fee = {"key": "base", "amount": "30", "timing": "in_advance"}
    plans = [{"key": key, "period": {"align": "calendar"}, "fees": [fee]} for key in ("big", "small")]
    one = World({"meters": [METER], "plans": plans}, tenant=tenant)
    for number in range(customers):
        one.start("2024-01-01", plan="small", subscription=f"s{number}", customer=f"c{number}")
        for day in ("09", "16", "23"):
            plan = "big" if day != "16" else "small"
            one.record("subscription.changed", f"2024-01-{day}", {"subscription": f"s{number}", "plan": plan})
    return one


def test_a_fee_stands_before_what_is_given_back_of_another_whoever_else_is_billed() -> None:
    runs = RUNS[:2]
    alone = as_texts(bill_runs([moving("acme", 1)], runs), "acme")
    closing = bill_runs([moving("acme", 1)], runs)[0].lines.filter(invoice_type="period").sort("place")
    signs = [amount > 0 for amount in closing["amount_minor"]]
    assert signs == [True, False] * 3 + [True]
    for shuffle in range(3):
        company = bill_runs([moving("acme", 40), moving("birch", 40)], runs, shuffle=shuffle)
        mine = [line for line in as_texts(company, "acme") if "'c0'" in line or '"customer":"c0"' in line]
        assert mine == alone
