"""Right bills of everything the engine bills pass the gate, whatever price, override, meter, sign or correction."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from quality.gate import decide_release
from quality.reconciliation import reconcile
from quality.total_rules import TOTALS
from tests.quality import matrix, matrix_options
from tests.support.rewording import reword
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.run_billing import bill
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.usage.derive_usage import derive_facts, lake_dates, meter

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
MONTHS = (date(2023, 11, 1), date(2023, 12, 1))


def run(settings: Settings, lake: Lake, made: matrix.World, as_of: datetime) -> None:
    """Everything received by then through the real steps, up to the journal."""
    lake.overwrite(EVENTS_TABLE, made.frame(as_of))
    derive_facts(lake)
    meter(lake, lake_dates(lake, date(2023, 1, 1), date(2024, 2, 1)))
    bill(settings, lake, *MONTHS, as_of=as_of, run_id="matrix")
    book_journal(settings, lake, as_of=as_of, run_id="matrix")


@pytest.fixture(scope="module")
def billed(module_settings: Settings) -> tuple[Settings, Lake]:
    lake = Lake(module_settings.lake_url)
    made = matrix.world()
    run(module_settings, lake, made, matrix_options.FIRST_RUN)
    with connect(module_settings, "builder") as connection:
        closed: list[Any] = connection.execute(
            "select tenant_id, customer, number from billing.invoice where invoice_type = 'period' "
            "and status = 'finalised' "
            "and period_to = '2023-12-01'"
        ).fetchall()
    matrix.answer(made, {(tenant, customer): number for tenant, customer, number in closed})
    run(module_settings, lake, made, matrix_options.SECOND_RUN)
    # What a line bills and what was billed before it are columns: the gate's answers below do not depend on its text.
    assert reword(module_settings) > 10
    return module_settings, lake


def test_the_lists_hold_everything_that_the_catalog_model_has() -> None:
    assert set(matrix_options.PRICES) == set(matrix_options.models())
    for model, examples in matrix_options.PRICES.items():
        assert {name for one in examples for name in one} == matrix_options.model_fields(model), model
    fields = matrix_options.stated_fields()
    assert set(matrix_options.OPTIONS) == fields["charge"]
    assert set(matrix_options.PLAN_OVERRIDES) == fields["plan"]
    assert set(matrix_options.METER_OPTIONS) == fields["meter"]


def test_every_right_bill_passes_the_gate(billed: tuple[Settings, Lake]) -> None:
    settings, lake = billed
    found = {month: reconcile(settings, lake, month) for month in ("2023-11", "2023-12")}
    every = pl.concat(found.values())
    assert every.filter(~pl.col("ok")).select("tenant_id", "check_name", "detail").rows() == []
    # Of a planned change of which a later one states a part, nothing is left open.
    planned = every.filter(pl.col("tenant_id") == "planned", pl.col("check_name").str.contains("f1$|not_recomputed"))
    assert planned.select("period", "check_name").rows() == [("2023-11", "fee:f1"), ("2023-12", "fee:f1")]
    # What a part of a period stands for is open once an invoice of the period is voided: its lines are counted (0503).
    counted = found["2023-11"].filter(pl.col("detail").str.contains("usage: judged by the rules of totals alone"))
    assert set(counted["check_name"]) == {"not_recomputed:c"}
    held = decide_release(settings, ["2023-11", "2023-12"]).filter(status="held")
    assert held.rows() == []
    with connect(settings, "builder") as connection:
        rows: list[Any] = connection.execute(
            "select distinct s.tenant_id, s.customer from billing.subscription s where not exists (select from "
            "billing.invoice i where i.tenant_id = s.tenant_id and i.customer = s.customer and i.status = 'finalised' "
            "and i.invoice_type = 'period' and i.period_to = '2023-12-01') "
            # periods of other lengths close on other days
            "and s.tenant_id not like 'period-%' and s.customer <> 'unpriced'"
        ).fetchall()
    assert rows == []


def test_a_period_that_a_late_change_cut_is_billed_twice_unless_its_usage_after_the_cut_is_taken_back(
    billed: tuple[Settings, Lake],
) -> None:
    [rule] = [one for one in TOTALS if one.name == "usage_is_billed_once_for_its_period"]
    query = rule.query.format(batch="(select * from billing.invoice_line where tenant_id = 'period-moved')").encode()
    with connect(billed[0], "admin") as connection:
        connection.execute("alter table billing.invoice_line disable trigger all")
        for taken_back in (0, 2):
            assert connection.execute(query).fetchall() == []
            with connection.transaction(force_rollback=True):
                changed = connection.execute(
                    "update billing.invoice_line as line set event_count = -%s from billing.invoice as first "
                    "where first.tenant_id = line.tenant_id and first.invoice_id = line.corrected_invoice_id "
                    "and first.customer in ('late-now', 'late-planned') and line.key = 'c' and line.event_count = -4",
                    [taken_back],
                )
                assert changed.rowcount == 2
                found: list[Any] = connection.execute(query).fetchall()
            assert {example for _, example in found} == {"s-late-now c", "s-late-planned c"}, taken_back
        connection.rollback()


def test_bills_of_every_unusual_shape_are_among_them(billed: tuple[Settings, Lake]) -> None:
    shapes = {
        "voided": "exists (select from billing.invoice_void v where (v.tenant_id, v.invoice_id) = (i.tenant_id, "
        "i.invoice_id))",
        "replaced": "i.revision = 1 and i.invoice_type = 'period'",
        "credit note": "exists (select from billing.invoice_credit c where (c.tenant_id, c.invoice_id) = (i.tenant_id, "
        "i.invoice_id) and c.kind = 'credit_note' and c.amount_minor > 0)",
        "credit below zero": "i.credit_total_minor < 0",
        "discount below zero": "i.discount_total_minor < 0",
        "quantity below zero": "exists (select from billing.invoice_line l where (l.tenant_id, l.invoice_id) = "
        "(i.tenant_id, i.invoice_id) and l.kind = 'usage' and l.corrected_invoice_id is null and not l.is_difference "
        "and l.quantity < 0)",
        "taken back": "i.tenant_id = 'period-moved' and exists (select from billing.invoice_line l where l.tenant_id = "
        "i.tenant_id and l.corrected_invoice_id = i.invoice_id and l.quantity < 0)",
    }
    with connect(billed[0], "builder") as connection:
        found = {
            name: connection.execute(f"select count(*) from billing.invoice i where {shape}").fetchall()[0][0]  # type: ignore[call-overload]  # shapes are constants
            for name, shape in shapes.items()
        }
    assert [name for name, count in found.items() if not count] == []
