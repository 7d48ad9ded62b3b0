"""A re-rating plan as one HTML page, for whoever approves it: the pages and charts are those of the value report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.services.price_changes.money_changes import (
    AMOUNTS,
    amounts_in_text,
    by_currency,
    by_customer,
    money_text,
    percent_text,
)
from valueverse.value.report import (
    Bar,
    Code,
    Facts,
    Headline,
    Page,
    Section,
    Table,
    build_bar_chart,
    printable,
    render_page,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.services.price_changes.money_changes import Change, CurrencyChange
    from valueverse.services.price_changes.rerate_review import Review
    from valueverse.value.report import Chart

_SHOWN = 20
_BARS = 10
_NOTHING_BOOKED = (
    "Nothing is booked yet. Once the plan is applied, the next invoices bill the differences; finalised ones stay as "
    "they are. Amounts are net of coupons and before tax."
)


def rerate_page(review: Review, apply: str) -> str:
    """The page: sums by currency and tenant, who pays more and who less, charts, every invoice, and how to apply it.

    Args:
        review: the plan and its invoices.
        apply: the command that applies the plan.
    """
    plan = review.plan
    customers = by_customer(review.invoices)
    sums = by_currency(customers)
    changed = sum(1 for one in review.invoices if one.difference)
    rated = (
        f"{plan['invoices']:,} finalised invoices of periods that end after {plan['from']} and up to {plan['to']} "
        f"were rated again; {changed:,} of them come to another amount, in {len(plan['rows']):,} lines."
    )
    sections = [_sums(sums, customers)]
    sections += [_of_currency(one) for one in sums]
    sections += [_invoices(review.invoices), _plan(review, apply)]
    return render_page(
        Page(
            "Re-rating plan",
            f"{', '.join(plan['tenants'])}: {plan['from']} to {plan['to']}",
            [rated, _NOTHING_BOOKED],
            [_headline(one) for one in sums],
            sections,
            "Every amount is exact. This page is one file: it loads nothing and sends nothing.",
        )
    )


def _headline(one: CurrencyChange) -> Headline:
    note = f"{percent_text(one.percent)}; {len(one.more):,} pay more, {len(one.less):,} less, {one.same:,} the same"
    return Headline(f"difference in {one.currency}", money_text(one.difference, one.currency, signed=True), note)


def _sums(sums: Sequence[CurrencyChange], customers: Sequence[Change]) -> Section:
    tenants = sorted({one.tenant for one in customers})
    rows = [
        (tenant, one.currency, f"{one.customers:,}", *amounts_in_text(one))
        for tenant in tenants
        for one in by_currency(customer for customer in customers if customer.tenant == tenant)
    ]
    if len(tenants) > 1:
        rows += [("all tenants", one.currency, f"{one.customers:,}", *amounts_in_text(one)) for one in sums]
    columns = ("tenant", "currency", "customers", *AMOUNTS)
    return Section("sums", "Sums", parts=[_table("By tenant and currency", columns, rows)])


def _of_currency(one: CurrencyChange) -> Section:
    parts: list[Chart | Table] = []
    largest = sorted([*one.more, *one.less], key=lambda change: -abs(change.difference))
    if largest:
        bars = [
            Bar(printable(change.customer), change.difference, money_text(change.difference, one.currency, signed=True))
            for change in largest[:_BARS]
        ]
        title = "Largest differences per customer"
        parts.append(build_bar_chart(f"differences-{one.currency.lower()}", title, one.currency, bars))
    for who, found in (("more", one.more), ("less", one.less)):
        if found:
            caption = f"{len(found):,} pay {who}" + (f"; the {_SHOWN} largest" if len(found) > _SHOWN else "")
            rows = [(change.customer, change.tenant, *amounts_in_text(change)) for change in found[:_SHOWN]]
            parts.append(_table(caption, ("customer", "tenant", *AMOUNTS), rows))
    text = f"{one.same:,} of {one.customers:,} customers pay the same."
    return Section(f"in-{one.currency.lower()}", f"Who pays more and less, {one.currency}", text, parts)


def _invoices(invoices: Sequence[Change]) -> Section:
    rows = [(one.invoice, one.customer, one.tenant, *amounts_in_text(one)) for one in invoices]
    return Section("invoices", "Every invoice", parts=[_table("", ("invoice", "customer", "tenant", *AMOUNTS), rows)])


def _plan(review: Review, apply: str) -> Section:
    plan = review.plan
    catalog = plan["catalog_hash"]
    facts = [
        ("plan", Code(plan["plan_id"])),
        ("catalog", Code(catalog) if catalog else "the terms as known now"),
        ("events known at", plan["events_known_at"]),
        ("customers", ", ".join(plan["customers"]) or "all"),
        ("apply it with", Code(apply)),
    ]
    text = "Applying works the plan out again and is refused if it comes to another hash: nothing is booked unseen."
    return Section("plan", "The plan", text, [Facts(facts)])


def _table(caption: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    numbers = frozenset(place for place, name in enumerate(columns) if name in {*AMOUNTS, "customers"})
    return Table(caption, columns, rows, numbers)
