"""Faults of the engine's output, written into the database behind its back: the tenant is held, the others are not."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from quality.gate import decide_release
from quality.reconciliation import reconcile
from tests.quality.matrix import World
from tests.quality.matrix_options import FIRST_RUN, LATE, NOVEMBER, PRICES
from tests.quality.test_matrix import run
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

_TIERS = [{"up_to": "10", "unit": "0.5", "flat": "3"}, {"up_to": None, "unit": "0.25"}]
CATALOG = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "meters": [{"key": "m", "event_type": "used", "aggregation": "sum", "value": "n"}],
    "plans": [
        {
            "key": "p",
            "period": {"align": "calendar"},
            "taxes": ["vat"],
            "fees": [{"key": "base", "amount": "20", "timing": "in_arrears"}],
            "charges": [
                {"key": "c", "meter": "m", "price": {"model": "graduated", "tiers": _TIERS}},
                {"key": "d", "meter": "m", "when": {"region": "us"}, "price": {"model": "standard", "unit": "1"}},
            ],
        }
    ],
    "taxes": [{"key": "vat", "percent": "20"}],
    "coupons": [{"key": "tenth", "percent": "10"}],
}
CATALOG["meters"][0]["dimensions"] = ["region"]  # type: ignore[index]  # a dict of the literal above

# What follows from a line that has another amount, so that nothing but the amount itself is wrong.
_RECKONED = (
    "update billing.invoice_line set tax_minor = round((amount_minor - discount_minor) * 0.2) where tenant_id = %(t)s",
    """
    update billing.invoice i set
        subtotal_minor = s.amount, discount_total_minor = s.discount, tax_total_minor = s.tax,
        total_minor = s.amount - s.discount + s.tax,
        amount_due_minor = s.amount - s.discount + s.tax - credit_total_minor, document = null
    from (
        select invoice_id, sum(amount_minor) as amount, sum(discount_minor) as discount, sum(tax_minor) as tax
        from billing.invoice_line where tenant_id = %(t)s group by 1
    ) s
    where i.tenant_id = %(t)s and i.invoice_id = s.invoice_id
    """,
    """
    update billing.invoice_tax x set base_minor = i.subtotal_minor - i.discount_total_minor,
        amount_minor = i.tax_total_minor
    from billing.invoice i
    where i.tenant_id = %(t)s and x.tenant_id = %(t)s and x.invoice_id = i.invoice_id
    """,
    "delete from billing.journal_posting where tenant_id = %(t)s",
)
_LINE = "update billing.invoice_line set {} where tenant_id = %(t)s and key = '{}'"
FAULTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "wrong amount": ("a", (_LINE.format("amount_precise = 9, amount_minor = 900", "c"),), "line_amount:c"),
    "wrong fee": ("b", (_LINE.format("amount_precise = 30, amount_minor = 3000", "base"),), "fee:base"),
    "wrong quantity": (
        "c",
        (_LINE.format("quantity = 30, amount_precise = 13, amount_minor = 1300", "c"),),
        "line_quantity:c",
    ),
    "missing line": ("d", ("delete from billing.invoice_line where tenant_id = %(t)s and key = 'd'",), "lines_missing"),
    "doubled line": (
        "e",
        (
            """
            insert into billing.invoice_line
            select (x.l).* from (
                select l #= hstore('line_no', '9') as l from billing.invoice_line l
                where tenant_id = %(t)s and key = 'd'
            ) x
            """,
        ),
        "usage_is_billed_once_for_its_period",
    ),
    # 22 units: 10 at 0.50 and 12 at 0.25 with a flat of 3; all at the first tier's price
    "wrong tier": ("f", (_LINE.format("amount_precise = 14, amount_minor = 1400", "c"),), "line_amount:c"),
    "line of another period": (
        "g",
        (_LINE.format("service_from = '2023-10-01', service_to = '2023-11-01'", "d"),),
        "usage_is_billed_once_for_its_period",
    ),
    "discount spread wrongly": (
        "h",
        (
            _LINE.format("discount_minor = discount_minor + 100", "base"),
            _LINE.format("discount_minor = discount_minor - 100", "c"),
        ),
        "coupon_is_spread_over_its_lines_in_proportion",
    ),
    "tax wrong": (
        "i",
        (
            "update billing.invoice_tax set amount_minor = amount_minor + 100 where tenant_id = %(t)s",
            """
            update billing.invoice set tax_total_minor = tax_total_minor + 100, total_minor = total_minor + 100,
                amount_due_minor = amount_due_minor + 100, document = null
            where tenant_id = %(t)s
            """,
        ),
        "invoice_tax_is_that_of_its_lines",
    ),
    "journal unbalanced": (
        "j",
        (
            """
            update billing.journal_posting set amount_minor = amount_minor + 1
            where tenant_id = %(t)s and account = 'revenue'
            """,
        ),
        "journal_entries_balance",
    ),
    "wrong minor units": ("k", (_LINE.format("amount_minor = amount_minor * 10", "c"),), "line_shows_its_amount"),
    "usage counted twice": (
        "l",
        (
            _LINE.format(
                "quantity = quantity * 2, amount_precise = amount_precise * 2, amount_minor = amount_minor * 2", "d"
            ),
        ),
        "line_quantity:d",
    ),
    "another tenant's usage": (
        "m",
        (
            """
            update billing.usage_daily u set quantity = u.quantity + o.quantity from billing.usage_daily o
            where u.tenant_id = %(t)s and o.tenant_id = 'a' and o.day = u.day and o.dimensions = u.dimensions
            """,
        ),
        "usage:m",
    ),
    "credit applied twice": (
        "n",
        (
            """
            update billing.invoice set credit_total_minor = credit_total_minor * 2,
                amount_due_minor = total_minor - credit_total_minor * 2
            where tenant_id = %(t)s
            """,
        ),
        "invoice_credits_add_up",
    ),
    # of two, the one with the last number, so that nothing else is wrong
    "missing invoice": (
        "q",
        (
            *(
                f"""
                delete from billing.{table} where tenant_id = %(t)s and invoice_id = (
                    select invoice_id from billing.invoice where tenant_id = %(t)s order by sequence desc limit 1
                )
                """
                for table in ("invoice_line", "invoice_tax", "invoice_credit", "invoice_discount", "invoice")
            ),
            "update billing.invoice_sequence set last_sequence = last_sequence - 1 where tenant_id = %(t)s",
            "delete from billing.journal_posting where tenant_id = %(t)s",
        ),
        "invoice_missing",
    ),
    "unbilled usage without a reason": (
        "p",
        (
            """
            update billing.event_day set billed = billed - 1, unbilled = unbilled + 1
            where tenant_id = %(t)s and day = (
                select min(day) from billing.event_day where tenant_id = %(t)s and billed > 0
            )
            """,
        ),
        "accepted_usage_is_billed_or_unbilled",
    ),
    "an event billed that was not accepted": (
        "o",
        ("update billing.event_day set billed = billed + 1, accepted = accepted + 1 where tenant_id = %(t)s",),
        "accepted_usage_is_accounted_for",
    ),
}
"""By fault: the tenant that it is seeded in, the statements, and the rule or check that has to name it."""
_AMOUNT = _LINE.format("amount_precise = amount_precise + 1, amount_minor = amount_minor + 100", "c")
_QUANTITY = _LINE.format("quantity = quantity + 1", "c")
_SPLIT = {"split_by": ["region"], "maximum": "9", "included": "4"}
_HOURS = {
    "model": "bucketed",
    "every": "hour",
    "commitment": "1",
    "true_up": True,
    "price": {"model": "standard", "unit": "2"},
}
FEATURES: dict[str, tuple[str, dict[str, dict[str, Any]], str, str]] = {
    "formula": (
        "fa",
        {"charge": {"price": {"model": "formula", "amount": "max(quantity - 5, 0) * 0.3"}}},
        _AMOUNT,
        "line_amount:c",
    ),
    "bucketed": ("fb", {"charge": {"price": _HOURS}}, _AMOUNT, "line_amount:c"),
    "weighted_sum": ("fc", {"meter": {"aggregation": "weighted_sum"}}, _QUANTITY, "line_quantity:c"),
    "where": ("fd", {"meter": {"where": "region != 'us'"}}, _QUANTITY, "line_quantity:c"),
    "value formula": ("fe", {"meter": {"value": "n * 2 + 1"}}, _QUANTITY, "line_quantity:c"),
    "rounded quantity": ("ff", {"meter": {"rounding": {"mode": "up", "places": -1}}}, _QUANTITY, "line_quantity:c"),
    "level carried over": (
        "fg",
        {"meter": {"aggregation": "latest", "carry_over": True}},
        _QUANTITY,
        "line_quantity:c",
    ),
    "days": ("fh", {"charge": {"prorate": "day"}}, _AMOUNT, "line_amount:c"),
    "bounds over splits": ("fi", {"charge": _SPLIT}, _AMOUNT, "line_amount:c"),
    "rounding by tier": ("fj", {"catalog": {"rounding": {"level": "tier"}}}, _AMOUNT, "line_amount:c"),
    "fee by seconds": (
        "fk",
        {"fee": {"prorate": "second"}},
        _LINE.format("amount_precise = 30, amount_minor = 3000", "base"),
        "fee:base",
    ),
    "credit for an unused fee": (
        "fl",
        {"fee": {"timing": "in_advance"}, "end": {}},
        _LINE.format("amount_precise = amount_precise - 1, amount_minor = amount_minor - 100", "base")
        + " and amount_minor < 0",
        "fee:base",
    ),
}
_MINIMUM = {"plan": {"commitment": {"minimum": "400"}}}
_OUTCOME = {"outcome": {"key": "v", "price": {"model": "outcome"} | PRICES["outcome"][0]}}
_ADJUSTED = _AMOUNT.replace("key = 'c'", "kind = 'adjustment' and key = 'c'")
FEATURES |= {
    "correction": ("fm", {"late": {}}, _ADJUSTED, "correction:c"),
    "quantity of a correction": (
        "fn",
        {"late": {}},
        _QUANTITY.replace("key = 'c'", "kind = 'adjustment' and key = 'c'"),
        "correction_quantity:c",
    ),
    "correction of a split": ("ft", {"charge": {"split_by": ["region"]}, "late": {}}, _ADJUSTED, "correction:c"),
    "correction of a split that has no usage left": (
        "fu",
        {"charge": {"split_by": ["region"]}, "late": {}, "voided": {}},
        _ADJUSTED + " and amount_minor < 0",
        "correction:c",
    ),
    "minimum": ("fo", _MINIMUM, _AMOUNT.replace("'c'", "'commitment'"), "minimum:commitment"),
    "minimum behind fees in advance": (
        "fp",
        _MINIMUM | {"fee": {"timing": "in_advance"}},
        _AMOUNT.replace("'c'", "'commitment'"),
        "minimum:commitment",
    ),
    "minimum that is missing": (
        "fq",
        _MINIMUM,
        "delete from billing.invoice_line where tenant_id = %(t)s and kind = 'minimum'",
        "minimum:commitment",
    ),
    "outcome": ("fr", _OUTCOME, _AMOUNT.replace("'c'", "'v'"), "outcome:v"),
}
"""By feature: a tenant whose catalog has it, what its parts say, the fault, and the check that has to name it."""
PROPOSED = {"fs": "300"}
"""Fees that the value step proposed by tenant, where it is not the fifth of 1,000 that the contract says."""
FAULTS |= {f"wrong {name}": (tenant, (fault,), check) for name, (tenant, _, fault, check) in FEATURES.items()}


def _catalog(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(CATALOG)
    plan = document["plans"][0]
    document["meters"][0].update(parts.get("meter", {}))
    plan["charges"][0].update(parts.get("charge", {}))
    plan["fees"][0].update(parts.get("fee", {}))
    plan.update(parts.get("plan", {}))
    plan["charges"] += [parts["outcome"]] if "outcome" in parts else []
    return document | parts.get("catalog", {})


def _propose(connection: psycopg.Connection[Any], tenant: str, fee: str) -> None:
    """A fee for 1,000 realised in the first half of November, approved since nobody disputed it."""
    row = {"t": tenant, "hash": "a" * 64, "fee": fee}
    connection.execute(
        "insert into value.commit values (%(t)s, %(hash)s, 1, 'saved', 'ann', null, '{}', null, 'h', '2023-11-01')", row
    )
    connection.execute(
        "insert into value.run values (%(t)s, %(hash)s, %(hash)s, 'realised', '2023-11-01', '2023-11-15', %(hash)s, "
        "'{}', null, '2023-11-15')",
        row,
    )
    connection.execute(
        "insert into value.proposal values (%(t)s, 'one', %(hash)s, %(hash)s, 'saved', 'one', 's-one', 'v', "
        "'2023-11-01', '2023-11-15', 1000, %(fee)s, 'none', %(fee)s, 'USD', '2023-11-15', '2023-11-20')",
        row,
    )


WHOLE = "right"
"""A tenant without a fault, one for every feature, one whose charge nothing had used in time, and those whose charge
has a minimum of its own that goes beyond the commitment of its plan."""
_OWN_MINIMUM = _MINIMUM | {"charge": {"split_by": ["region"], "minimum": "500"}}
UNHARMED = {f"right-{tenant}": parts for tenant, parts, *_ in FEATURES.values()} | {
    "right-unused": {"charge": {"split_by": ["region"]}, "late": {}, "unused": {}},
    "right-own-minimum": _OWN_MINIMUM,
    "right-charge-commitment": _OWN_MINIMUM | {"charge": _OWN_MINIMUM["charge"] | {"key": "commitment"}},
}
FAULTS |= {"wrong fee for an outcome": ("fs", (), "outcome_fee:v")}
CONSISTENT = {"a", "b", "c", "d", "e", "f", "l", *(tenant for tenant, *_ in FEATURES.values())}
"""Tenants whose totals, taxes and journal follow from the fault, as an engine's fault would make them."""


@pytest.fixture(scope="module")
def decisions(module_settings: Settings) -> dict[str, tuple[str, str | None]]:
    made = World()
    features = {tenant: parts for tenant, parts, *_ in FEATURES.values()} | UNHARMED | dict.fromkeys(PROPOSED, _OUTCOME)
    for tenant in (*(tenant for tenant, *_ in FAULTS.values()), WHOLE, *UNHARMED):
        parts = features.get(tenant, {})
        made.add(tenant, "billing.catalog.published", NOVEMBER, _catalog(parts))
        made.start(tenant, "one")
        if "unused" not in parts:
            made.use(tenant, "one", 1)
        if tenant == "q":
            made.start(tenant, "two")
            made.use(tenant, "two", 1)
        if "end" in parts:
            made.add(tenant, "billing.subscription.ended", NOVEMBER + timedelta(days=15), {"subscription": "s-one"})
        if "late" in parts:
            # A subscription that is over gets an invoice of its own for what is late.
            made.add(tenant, "billing.subscription.ended", NOVEMBER + timedelta(days=30), {"subscription": "s-one"})
            late = {"subject": "one", "customer": "one", "received_at": LATE}
            made.add(tenant, "used", NOVEMBER + timedelta(days=2), {"n": "100", "region": "eu"}, **late)
            if "voided" in parts:
                about = {"subject": "one", "customer": "one"}
                usage = made.add(tenant, "used", NOVEMBER + timedelta(days=3), {"n": "6", "region": "ap"}, **about)
                made.add(tenant, "used", NOVEMBER + timedelta(days=3), None, **late, replaces=usage)
        else:
            made.add(tenant, "billing.coupon.applied", NOVEMBER, {"customer": "one", "coupon": "tenth"})
        grant = {"customer": "one", "wallet": "w", "amount": "7", "currency": "USD"}
        made.add(tenant, "billing.wallet.granted", NOVEMBER, grant)
    lake = Lake(module_settings.lake_url)
    with connect(module_settings, "admin") as connection:
        for tenant, parts in features.items():
            if "outcome" in parts:
                _propose(connection, tenant, PROPOSED.get(tenant, "200"))
        connection.commit()
    for moment in (FIRST_RUN, LATE + timedelta(days=1)):
        run(module_settings, lake, made, moment)
    with connect(module_settings, "admin") as connection:
        connection.execute("create extension if not exists hstore")
        for table in (
            "invoice",
            "invoice_line",
            "invoice_tax",
            "invoice_credit",
            "invoice_discount",
            "invoice_sequence",
            "journal_posting",
        ):
            connection.execute(f"alter table billing.{table} disable trigger all")  # type: ignore[arg-type]  # a literal
        for tenant, statements, _ in FAULTS.values():
            for statement in (*statements, *(_RECKONED if tenant in CONSISTENT else ())):
                connection.execute(statement, {"t": tenant})  # type: ignore[arg-type]  # literals of this module
    checks = reconcile(module_settings, lake, "2023-11").filter(~pl.col("ok")).group_by("tenant_id").agg("check_name")
    disagrees = {tenant: ["reconciliations_agree", *names] for tenant, names in checks.iter_rows()}
    found = decide_release(module_settings, ["2023-11"])
    # The reason names one of the checks that disagree; all of them stand in the reconciliation.
    return {
        tenant: (status, None if reason is None else " ".join([reason, *disagrees.get(tenant, [])]))
        for tenant, status, reason, _ in found.iter_rows()
    }


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_holds_its_tenant_and_is_named(decisions: dict[str, tuple[str, str | None]], fault: str) -> None:
    tenant, _, rule = FAULTS[fault]
    status, reason = decisions[tenant]
    assert status == "held", fault
    assert reason is not None
    assert rule in reason


def test_a_tenant_without_a_fault_is_released_beside_them(decisions: dict[str, tuple[str, str | None]]) -> None:
    assert {tenant: decisions[tenant] for tenant in (WHOLE, *UNHARMED)} == dict.fromkeys(
        (WHOLE, *UNHARMED), ("released", None)
    )
