from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from quality import gate
from quality.expectations import judge
from quality.gate import decide_release
from quality.period import Month
from quality.rules import RULES
from tests.support.billing_rows import TENANTS, seed
from valueverse.errors import RefusalError
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    seed(settings)
    return settings


def test_tenants_whose_tables_hold_all_rules_are_released(seeded: Settings) -> None:
    decisions = decide_release(seeded, ["2023-11"], run_id="r1")
    assert decisions.rows() == [(tenant, "released", None, "2023-11") for tenant in TENANTS]
    with connect(seeded, "builder") as connection:
        rows = connection.execute("select tenant_id, period, status, run_id from billing.release order by 1").fetchall()
    assert rows == [(tenant, "2023-11", "released", "r1") for tenant in TENANTS]


# For each rule the statements that make tenant birch break it in November. Constraints and triggers that
# would refuse the row are switched off first: the gate is the second check and must not depend on the first.
BREAKERS = {
    "tenant_has_timezone_and_currency": [
        "update billing.tenant set timezone = 'Mars/Olympus' where tenant_id = 'birch'"
    ],
    "customer_has_a_tenant": ["delete from billing.tenant where tenant_id = 'birch'"],
    "subscription_is_on_a_published_plan": ["delete from billing.plan where tenant_id = 'birch'"],
    "invoice_keys_are_filled": ["update billing.invoice set events_known_at = null where tenant_id = 'birch'"],
    "invoice_has_a_customer": ["delete from billing.customer where tenant_id = 'birch'"],
    "invoice_subtotal_is_the_sum_of_its_lines": [
        "update billing.invoice_line set amount_minor = 4613 where tenant_id = 'birch' and line_no = 2"
    ],
    "invoice_document_says_the_same_total": [
        """update billing.invoice set document = '{"total": "71.13"}' where tenant_id = 'birch'"""
    ],
    "invoice_amounts_are_in_range": [
        (
            "update billing.invoice set subtotal_minor = 1000000000000000000, total_minor = total_minor + "
            "1000000000000000000 - subtotal_minor, amount_due_minor = amount_due_minor + 1000000000000000000 - "
            "subtotal_minor where tenant_id = 'birch'"
        )
    ],
    "invoice_numbers_have_no_gaps": ["delete from billing.invoice where tenant_id = 'birch' and sequence = 1"],
    "line_has_an_invoice": [
        "alter table billing.invoice_line drop constraint invoice_line_tenant_id_invoice_id_fkey",
        "update billing.invoice_line set invoice_id = gen_random_uuid() where tenant_id = 'birch'",
    ],
    "usage_line_has_meter_and_quantity": [
        "update billing.invoice_line set quantity = null where tenant_id = 'birch' and kind = 'usage'"
    ],
    "usage_names_its_meter": ["update billing.usage_daily set meter = '' where tenant_id = 'birch'"],
    "accepted_usage_is_billed_or_unbilled": ["update billing.event_day set accepted = 2 where tenant_id = 'birch'"],
    "quarantined_events_have_a_reason": ["delete from billing.quarantine_summary where tenant_id = 'birch'"],
    "deferred_revenue_and_wallets_run_out_at_zero": [
        "update billing.journal_posting set amount_minor = amount_minor + 1 where tenant_id = 'birch'"
    ],
    "line_shows_its_amount": [
        "update billing.invoice_line set amount_precise = amount_precise + 1 where tenant_id = 'birch'"
    ],
    "usage_is_billed_once_for_its_period": [
        "update billing.invoice_line set service_from = service_from - interval '1 day' where tenant_id = 'birch'"
    ],
    "invoice_discounts_are_those_of_its_lines": [
        "update billing.invoice_line set discount_minor = 1 where tenant_id = 'birch' and line_no = 2"
    ],
    "discount_is_no_more_than_its_line": [
        "update billing.invoice_line set discount_minor = amount_minor + 1 where tenant_id = 'birch' and line_no = 2"
    ],
    "coupon_is_spread_over_its_lines_in_proportion": [
        "update billing.invoice_line set discount_minor = 100 where tenant_id = 'birch'",
        "delete from billing.invoice_discount where tenant_id = 'birch'",
        (
            "insert into billing.invoice_discount (tenant_id, invoice_id, position, key, origin, amount_minor) "
            "select tenant_id, invoice_id, 1, 'tenth', 'x', 200 from billing.invoice where tenant_id = 'birch'"
        ),
    ],
    "invoice_tax_is_that_of_its_lines": ["update billing.invoice_line set tax_minor = 5 where tenant_id = 'birch'"],
    "invoice_credits_add_up": [
        (
            "insert into billing.invoice_credit (tenant_id, invoice_id, position, kind, key, origin, amount_minor) "
            "select tenant_id, invoice_id, 3, 'wallet', 'w', 'x', 5 from billing.invoice where tenant_id = 'birch'"
        )
    ],
    "journal_entries_balance": [
        "update billing.journal_posting set amount_minor = amount_minor + 1 where tenant_id = 'birch' and position = 1"
    ],
    "journal_books_the_invoice": [
        (
            "update billing.journal_posting set amount_minor = amount_minor + 1 "
            "where tenant_id = 'birch' and account = 'receivable'"
        )
    ],
    "reconciliations_agree": ["update billing.reconciliation set ok = false where tenant_id = 'birch'"],
}


ALSO_BROKEN = {
    "invoice_subtotal_is_the_sum_of_its_lines": ("line_shows_its_amount",),
    "invoice_amounts_are_in_range": (
        "invoice_document_says_the_same_total",
        "invoice_subtotal_is_the_sum_of_its_lines",
        "journal_books_the_invoice",
    ),
    "invoice_numbers_have_no_gaps": ("line_has_an_invoice",),
    "line_has_an_invoice": ("invoice_subtotal_is_the_sum_of_its_lines",),
    "deferred_revenue_and_wallets_run_out_at_zero": ("journal_books_the_invoice", "journal_entries_balance"),
    "discount_is_no_more_than_its_line": ("invoice_discounts_are_those_of_its_lines",),
    "coupon_is_spread_over_its_lines_in_proportion": ("invoice_discounts_are_those_of_its_lines",),
    "journal_entries_balance": ("deferred_revenue_and_wallets_run_out_at_zero", "journal_books_the_invoice"),
    "journal_books_the_invoice": ("journal_entries_balance",),
}
"""What else the statements break, since totals, taxes and the journal follow from lines."""


def test_every_rule_has_a_fixture_that_breaks_it() -> None:
    assert set(BREAKERS) == {rule.name for rule in RULES}


def _who_breaks(rule: str) -> str:
    return "breaks-" + rule.replace("_", "-")


@pytest.fixture(scope="module")
def broken(module_settings: Settings) -> set[tuple[str, str]]:
    """Tenant and rule of every finding, where each rule is broken by a tenant of its own."""
    seed(module_settings, (*TENANTS, *map(_who_breaks, BREAKERS)))
    for rule, statements in BREAKERS.items():
        _break(module_settings, *(one.replace("'birch'", f"'{_who_breaks(rule)}'") for one in statements))
    findings = judge(module_settings, [Month.parse("2023-11")], None).findings
    return set(findings.select("tenant", "rule").iter_rows())


@pytest.mark.parametrize("rule", sorted(BREAKERS))
def test_a_tenant_that_breaks_a_rule_is_named_for_it_and_for_nothing_else(
    broken: set[tuple[str, str]], rule: str
) -> None:
    assert {found for tenant, found in broken if tenant == _who_breaks(rule)} == {rule, *ALSO_BROKEN.get(rule, ())}


def test_nobody_is_named_but_who_breaks_a_rule(broken: set[tuple[str, str]]) -> None:
    assert {tenant for tenant, _ in broken} == set(map(_who_breaks, BREAKERS))


def test_a_held_tenant_is_reported_why_and_the_others_are_released(seeded: Settings) -> None:
    _break(seeded, *BREAKERS["invoice_subtotal_is_the_sum_of_its_lines"])
    decisions = {
        tenant: (status, reason) for tenant, status, reason, _ in decide_release(seeded, ["2023-11-01"]).iter_rows()
    }
    assert decisions["acme"] == decisions["cedar"] == ("released", None)
    status, reason = decisions["birch"]
    assert status == "held"
    assert "invoice_subtotal_is_the_sum_of_its_lines: 1 row(s)" in reason
    assert "birch-000002" in reason


def test_a_tenant_that_is_mended_is_released_again(seeded: Settings) -> None:
    _break(seeded, *BREAKERS["accepted_usage_is_billed_or_unbilled"])
    decide_release(seeded, ["2023-11"], ["birch"])
    _break(seeded, "update billing.event_day set accepted = 1")
    decide_release(seeded, ["2023-11"], ["birch"])
    with connect(seeded, "builder") as connection:
        rows = connection.execute("select tenant_id, status, reason from billing.release").fetchall()
    assert rows == [("birch", "released", None)]


def test_another_month_is_not_held_by_what_is_wrong_in_this_one(seeded: Settings) -> None:
    _break(seeded, "update billing.event_day set accepted = 2 where tenant_id = 'birch' and day = '2023-11-28'")
    assert decide_release(seeded, ["2023-10"]).filter(status="held").is_empty()
    assert decide_release(seeded, ["2023-11"]).filter(status="held")["tenant"].to_list() == ["birch"]


def test_months_that_are_judged_together_are_decided_as_each_alone(
    seeded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_AT_ONCE", 2)
    zone = "update billing.tenant set timezone = 'America/New_York' where tenant_id = 'cedar'"
    every_month = ("subscription_is_on_a_published_plan", "line_has_an_invoice")
    # what is wrong in November only, of one table of each scope
    november = (
        "update billing.event_day set accepted = 2 where tenant_id = 'birch' and day = '2023-11-28'",
        "update billing.reconciliation set ok = false where tenant_id = 'acme' and period = '2023-11'",
        (
            "update billing.invoice_line set amount_precise = amount_precise + 1 where tenant_id = 'cedar' and "
            "service_from >= '2023-11-01'"
        ),
        (
            "update billing.journal_posting set amount_minor = amount_minor + 1 "
            "where tenant_id = 'acme' and invoice in "
            "(select number from billing.invoice where tenant_id = 'acme' and period_from >= '2023-11-01')"
        ),
    )
    _break(seeded, zone, *november, *(one for rule in every_month for one in BREAKERS[rule]))
    together = decide_release(seeded, ["2023-12", "2023-10", "2023-11"])
    alone = [decide_release(seeded, [month]) for month in ("2023-10", "2023-11", "2023-12")]
    assert together.rows() == [row for frame in alone for row in frame.rows()]
    held = {(tenant, month): reason for tenant, status, reason, month in together.iter_rows() if status == "held"}
    assert {month for _, month in held} == set(together["month"])
    assert ("acme", "2023-11") in held
    assert ("acme", "2023-10") not in held
    assert "accepted_usage_is_billed_or_unbilled" in held["birch", "2023-11"]
    assert "accepted_usage_is_billed_or_unbilled" not in held["birch", "2023-10"]


def test_more_failing_tenants_than_a_result_holds_are_all_held(seeded: Settings) -> None:
    _break(
        seeded,
        "insert into billing.tenant (tenant_id, timezone, currency) "
        "select 'bulk-' || n, 'Mars/Olympus', 'USD' from generate_series(1, 250) as n",
    )
    held = decide_release(seeded, ["2023-11"]).filter(status="held")
    assert held.height == 250


def test_a_check_that_cannot_run_holds_everybody(seeded: Settings) -> None:
    _break(seeded, "drop table billing.event_day cascade")
    decisions = decide_release(seeded, ["2023-11"])
    assert set(decisions["status"]) == {"held"}
    assert "could not run" in decisions["reason"][0]


def test_a_period_that_is_no_month_is_refused(seeded: Settings) -> None:
    with pytest.raises(RefusalError) as refused:
        decide_release(seeded, ["2023-13"])
    assert refused.value.code == "bad_period"


def test_data_docs_show_every_suite(seeded: Settings, tmp_path: Path) -> None:
    decide_release(seeded, ["2023-11"], docs=tmp_path / "docs")
    index = (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")
    assert all(f"billing.{rule.table}" in index for rule in RULES)
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "docs" / "validations").rglob("*.html")]
    assert any("The subtotal of every invoice is the sum of its lines" in page for page in pages)


def _break(settings: Settings, *statements: str) -> None:
    with connect(settings, "admin") as connection:
        for table in (
            "invoice", "invoice_line", "invoice_discount", "invoice_credit", "customer", "tenant", "journal_posting",
        ):  # fmt: skip
            connection.execute(f"alter table billing.{table} disable trigger all")
        for statement in statements:
            connection.execute(statement)
