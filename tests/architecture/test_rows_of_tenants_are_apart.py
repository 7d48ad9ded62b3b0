"""Every join, group, window and distinct of tenant data has the tenant among its keys (docs/decisions/0021).

The source is read, not run. What has other keys stands in one of the lists below, with the reason why rows of two
tenants cannot meet there.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.tenant_keys import KEYED, UNKNOWN, Use, uses

ROOT = Path(__file__).parents[2]
PACKAGES = ("valueverse", "assets", "quality", "serving_api", "pipelines")
NO_TENANTS = (
    "valueverse/rating/",
    "valueverse/formula/",
    "valueverse/value/architect/",
    "valueverse/value/executor/",
    "valueverse/value/finance/",
    "valueverse/value/report/",
)
"""Modules whose frames have no tenants: priced lines by their number, or one model of one tenant."""
NUMBERS = {
    "line": "row number of the lines of a run, or (with ``file``) of a file that is read",
    "window": "row number of the metering windows of a run",
    "stretch": "row number of the stretches of plan of a run",
    "bill": "row number of the invoices of a run",
    "place": "row number of the lines of a run, or of the metrics registered (value/realisation/mart_metric_rules.py)",
    "row": "row number of the usage of a day",
    "_row": "row number of the frame at hand",
    "turn": "row number of grants and purchases",
    "void_turn": "row number of the void, as turn",
    "owner": "row number of the KEYS that usage is grouped by",
    "cost": "row number of the recorded costs",
}
"""Numbers that a run gives to the rows of one frame of all tenants: no two rows have one."""
ROW_KEY = (
    "valueverse/invoicing/periods/billing_periods.py",
    "valueverse/subscriptions/timeline.py",
    "valueverse/subscriptions/zone_changes.py",
    "valueverse/services/ingestion/invalidation.py",
)
"""Modules in which ``key`` is a row number, as periods() takes it."""
CONTENT = {"terms", "charge", "catalog_hash"}
"""Numbers and hashes of documents: tenants that publish one document share them. A join looks up what the document
says; its other side has no tenant (judged at run time by tests/invoicing/test_together_is_alone.py)."""
SITES = {
    (
        "valueverse/services/billing/run_billing.py",
        "group_by",
        ("month",),
    ): "months to bill again, each with its tenants: a pass bills all of them, as a run does",
    (
        "assets/metadata.py",
        "partition_by",
        ("partition",),
    ): "rows of all tenants, shown with the partition that holds them; the tenant stays among the columns",
    (
        "valueverse/invoicing/billed_rows.py",
        "unique",
        ("document", "rerate_catalog_hash"),
    ): "catalogs by their hash",
    (
        "valueverse/services/billing/customer_usage.py",
        "group_by",
        ("date",),
    ): "files of the lake by their date, which hold rows of all tenants",
    (
        "valueverse/services/usage/refresh_facts.py",
        "group_by",
        ("month",),
    ): "a count and an instant of all tenants' costs, compared with those of the run before; a month is a partition",
    (
        "valueverse/services/simulation/simulate.py",
        "group_by",
        ("event_type", "status"),
    ): "counts printed for the one caller",
    ("valueverse/services/ingestion/check_file.py", "group_by", ("type",)): "a file of one tenant",
    ("valueverse/services/ingestion/check_file.py", "group_by", ("message", "reason")): "a file of one tenant",
    ("valueverse/services/simulation/simulate.py", "group_by", ("reason",)): "counts printed for the one caller",
    (
        "valueverse/services/simulation/simulated_events.py",
        "group_by",
        ("outcome",),
    ): "counts printed for the one caller",
    (
        "valueverse/services/simulation/simulated_events.py",
        "group_by",
        ("reason",),
    ): "counts printed for the one caller",
    (
        "valueverse/services/simulation/simulate.py",
        "group_by",
        ("currency",),
    ): "the total of all that the one caller gave",
    (
        "valueverse/invoicing/lines/line_amounts.py",
        "group_by",
        ("rounding_mode",),
    ): "rows are rounded apart, none is put together",
    (
        "valueverse/invoicing/lines/usage/bucket_usage.py",
        "group_by",
        ("every", "timezone"),
    ): "rows are cut apart, none put together",
    (
        "valueverse/invoicing/lines/usage/bucket_usage.py",
        "join",
        ("bucket",),
    ): "hours or days of one zone: no tenant data",
    ("valueverse/invoicing/lines/usage/bucket_usage.py", "unique", ("begins",)): "days of one zone: no tenant data",
    (
        "valueverse/invoicing/lines/usage/charge_assignment.py",
        "unique",
        ("dimensions", "meter", "terms"),
    ): "which charge takes what",
    (
        "valueverse/invoicing/lines/usage/charge_assignment.py",
        "group_by",
        ("charge", "dimensions", "meter", "terms"),
    ): "a decision on content",
    (
        "valueverse/invoicing/lines/usage/charge_assignment.py",
        "group_by",
        ("dimensions", "meter", "terms"),
    ): "a decision on content",
    (
        "valueverse/invoicing/lines/usage/charge_assignment.py",
        "join",
        ("dimensions", "name", "value"),
    ): "values that a text says",
    ("valueverse/invoicing/lines/usage/attribution.py", "unique", ("meter", "terms")): "what a document charges for",
    (
        "valueverse/invoicing/corrections/corrected_invoices.py",
        "group_by",
        ("rerate_catalog_hash",),
    ): "runs of one catalog; what is found has the tenant",
    (
        "valueverse/invoicing/corrections/corrected_invoices.py",
        "partition_by",
        ("bills_advance", "bills_period"),
    ): "rows are parted, none put together",
    (
        "valueverse/invoicing/lines/line_taxes.py",
        "unique",
        ("catalog_hash", "country", "stated", "tax_rates"),
    ): "rates by content",
    (
        "valueverse/invoicing/lines/plan_terms.py",
        "unique",
        ("catalog_hash", "overrides", "plan", "plan_version"),
    ): "by content",
    (
        "valueverse/invoicing/lines/usage/usage_lines.py",
        "unique",
        ("meter", "prorate", "round_prorated", "terms"),
    ): "by content",
    ("valueverse/ledger/beancount.py", "group_by", ("currency",)): "the export of one tenant",
    (
        "valueverse/metering/stateful_aggregations.py",
        "partition_by",
        ("aggregation",),
    ): "rows are parted, none is put together",
    ("valueverse/metering/stateful_aggregations.py", "partition_by", ("round_prorated",)): "rows are rounded apart",
    ("valueverse/metering/quantities.py", "partition_by", ("rounding_mode", "rounding_places")): "rounded apart",
    ("valueverse/metering/usage.py", "partition_by", ("taker",)): "events are parted by the meters that read them",
    ("valueverse/money.py", "over", (UNKNOWN,)): "largest_remainder is judged where it is called",
    ("valueverse/subscriptions/event_fields.py", "group_by", (UNKNOWN,)): "_latest is judged where it is called",
    ("valueverse/subscriptions/zone_changes.py", "group_by", (UNKNOWN,)): "_stated_at is judged where it is called",
    ("valueverse/subscriptions/zone_changes.py", "join", (UNKNOWN,)): "_stated_at is judged where it is called",
    ("valueverse/subscriptions/zone_changes.py", "join_asof", (UNKNOWN,)): "_stated_at is judged where it is called",
    ("valueverse/subscriptions/zones.py", "group_by", (UNKNOWN,)): "rows are parted by zone, none is put together",
    ("valueverse/subscriptions/zones.py", "group_by", ("day",)): "days of one zone: no tenant data",
    ("valueverse/subscriptions/zones.py", "join", (UNKNOWN, "day")): "days of one zone: no tenant data",
    ("valueverse/value/realisation/drilldown.py", "group_by", ("customer",)): "the usage of one tenant's value model",
    ("valueverse/value/realisation/fees.py", "unique", ("subscription",)): "rows of one tenant, filtered above it",
    ("valueverse/value/realisation/variance.py", "largest_remainder", ("all",)): "the shares of one tenant's variance",
    (
        "valueverse/services/tenant_holds.py",
        "join",
        ("partition",),
    ): "the months that are asked for: one side has no tenant",
    ("valueverse/services/ingestion/run_ingestion.py", "group_by", ("reason",)): "counts shown to the operator",
    (
        "valueverse/services/ingestion/ingest.py",
        "join",
        ("file", "file_hash"),
    ): "files of the landing folder, the operator's",
    (
        "valueverse/services/ingestion/batches.py",
        "group_by",
        ("file",),
    ): "counts of a file, which lies in its tenant's folder",
    (
        "valueverse/services/ingestion/batches.py",
        "group_by",
        ("file", "reason"),
    ): "counts of a file, which lies in its tenant's folder",
    ("quality/reconciliation.py", "unique", ("catalog_hash",)): "documents by their hash",
    (
        "quality/recompute/formulas.py",
        "unique",
        ("aggregation", "value_formula", "where_formula"),
    ): "formulas of catalog documents, by what they say",
    (
        "quality/recompute/formulas.py",
        "join",
        ("aggregation", "value_formula", "where_formula"),
    ): "meters of catalog documents, by what their formulas say",
    ("quality/recompute/formulas.py", "unique", ("rule",)): "formulas by their number: no tenant data",
    ("quality/recompute/formulas.py", "partition_by", ("formula",)): "rows are parted by formula, none is put together",
    ("quality/recompute/states.py", "unique", ("overrides", "plan")): "texts of documents, flattened by what they say",
    (
        "valueverse/services/usage/usage_accounting.py",
        "group_by",
        ("month",),
    ): "files of a table by month; work taken apart by month",
    (
        "valueverse/services/usage/usage_accounting.py",
        "group_by",
        ("date",),
    ): "rows in the files of a table: no tenant data",
    ("valueverse/services/usage/usage_accounting.py", "group_by", ("batch",)): "days read at once: none put together",
}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def keeps_apart(use: Use) -> bool:
    if use.keeps_tenants_apart() or use.path.startswith(NO_TENANTS) or use.keys & set(NUMBERS):
        return True
    if "key" in use.keys and use.path in ROW_KEY:
        return True
    return use.operation == "join" and bool(use.keys & CONTENT)


def site(use: Use) -> tuple[str, str, tuple[str, ...]]:
    return use.path, use.operation, tuple(sorted(use.keys))


@cache
def found() -> list[Use]:
    return [use for path in modules() for use in uses(ROOT, path) if not keeps_apart(use)]


def test_every_keyed_operation_has_the_tenant_among_its_keys() -> None:
    odd = [f"{use.place}: {use.operation} by {sorted(use.keys)}" for use in found() if site(use) not in SITES]
    assert not odd, "add the tenant to the keys, or say in SITES why rows of two tenants cannot meet"


def test_the_list_of_exceptions_names_only_what_there_is() -> None:
    assert set(SITES) == {site(use) for use in found()} & set(SITES)


def test_modules_without_tenants_have_none() -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in modules()
        if str(path.relative_to(ROOT)).startswith(NO_TENANTS)
    }
    assert texts
    assert [str(path) for path, text in texts.items() if re.search(r"""["']tenant(_id)?["']""", text)] == []


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - {"void_turn"}))
def test_a_number_of_a_run_is_given_to_the_rows_of_a_frame(name: str) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in modules())
    made = rf"""with_row_index\(\s*"{name}"|int_range\(pl\.len\(\)[^\n]*\)\.alias\("{name}"\)|"{name}": pl\.Int64"""
    assert re.search(made, source)


BEFORE = {
    "wallets and coupons of an account": """
        def recall(used):
            return used.credits.group_by("origin").agg(pl.col("amount_minor").sum())
    """,
    "a one-off is placed once": """
        def lines(known, due):
            return known.join(due, on=_CUSTOMER).unique("origin", keep="first", maintain_order=True)

        _CUSTOMER = ["tenant", "customer", "currency"]
    """,
    "a one-off is placed nowhere": """
        def lines(known, placed):
            return known.join(placed, on="origin", how="anti")
    """,
    "what a coupon used": """
        def coupons(discounts):
            return discounts.select("origin", "subscription", "period_from").unique(maintain_order=True)
    """,
    "one side has the tenant": """
        def noted(notes, bills):
            return notes.join(bills, left_on=["tenant", "number"], right_on=["owner_name", "number"])
    """,
    "keys in a constant": """
        _NUMBER = ["number"]

        def judged(notes):
            return notes.with_columns(pl.col("amount_minor").cum_sum().over(_NUMBER))
    """,
    "keys in a variable": """
        def placed(rows, more):
            keys = ["source", "id"]
            return rows.join_asof(more, on="time", by=keys)
    """,
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_the_defects_that_there_were_would_have_been_found(before: str, tmp_path: Path) -> None:
    module = tmp_path / "valueverse" / "module.py"
    module.parent.mkdir()
    module.write_text(dedent(before), encoding="utf-8")
    assert any(not keeps_apart(use) for use in uses(tmp_path, module))


def test_the_check_sees_every_operation_with_keys(tmp_path: Path) -> None:
    calls = {
        "join": 'x.join(y, on="id")',
        "join_asof": 'x.join_asof(y, on="t", by="id")',
        "group_by": 'x.group_by("id")',
        "group_by_dynamic": 'x.group_by_dynamic("t", every="1d", group_by="id")',
        "rolling": 'x.rolling("t", period="1d", group_by="id")',
        "unique": 'x.unique("id")',
        "over": 'pl.col("n").sum().over("id")',
        "partition_by": 'x.partition_by("id")',
        "pivot": 'x.pivot("name", index="id")',
        "merge_sorted": 'x.merge_sorted(y, "id")',
        "update": 'x.update(y, on="id")',
    }
    assert set(calls) == set(KEYED)
    module = tmp_path / "module.py"
    module.write_text("\n".join(calls.values()), encoding="utf-8")
    assert [use.operation for use in uses(tmp_path, module) if not keeps_apart(use)] == list(calls)
