"""A re-rating plan beside what is booked: each invoice before and after, for whoever decides on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.money import minor_units
from valueverse.platform.warehouse import connect
from valueverse.services.billing.rerate import PLAN_SCHEMA, RerateRequest, booked_of, plan_hash
from valueverse.services.price_changes.money_changes import Change

if TYPE_CHECKING:
    from valueverse.catalog import Catalog
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class Review:
    """A plan and what it changes.

    Attributes:
        plan: the document of ``rerate.plan``.
        invoices: every invoice that it re-rates, by tenant, customer and number: net of coupons, before tax. What
            corrections have booked for it counts as before.
    """

    plan: dict[str, Any]
    invoices: list[Change]


def request_of(plan: dict[str, Any], catalog: Catalog | None = None) -> RerateRequest:
    """What a plan was asked for.

    Raises:
        RefusalError: ``bad_plan``: it is no plan.
    """
    if not isinstance(plan, dict) or plan.get("schema") != PLAN_SCHEMA:
        raise RefusalError("bad_plan", "not a re-rating plan: give a file that `rerate plan --out` wrote", "PLAN")
    try:
        return RerateRequest(
            tuple(plan["tenants"]),
            date.fromisoformat(plan["from"]),
            date.fromisoformat(plan["to"]),
            tuple(plan["customers"]),
            catalog,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError("bad_plan", f"not a re-rating plan: {error}", "PLAN") from error


def _has_its_hash(plan: dict[str, Any]) -> bool:
    try:
        return bool(plan.get("plan_id") == plan_hash(plan))
    except ValueError:
        return False


def review(settings: Settings, plan: dict[str, Any]) -> Review:
    """The plan's invoices as they are booked now, and what they come to with its differences.

    Raises:
        RefusalError: ``bad_plan``; ``plan_edited`` where it no longer has its hash: what is reviewed would not be what
            is applied; ``no_invoices`` where nothing of it is booked here.
    """
    request = request_of(plan)
    if not _has_its_hash(plan):
        raise RefusalError("plan_edited", "the plan was edited, or is cut off: make a new one and review it", "PLAN")
    with connect(settings, "builder") as connection:
        booked = booked_of(connection, request)
    try:
        differences: dict[tuple[str, str], Decimal] = {}
        for row in plan["rows"]:
            key = (row["tenant"], row["invoice"])
            differences[key] = differences.get(key, Decimal(0)) + Decimal(row["difference"])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise RefusalError("bad_plan", f"not a re-rating plan: {error}", "PLAN") from error
    invoices = []
    for row in booked.sort("tenant", "customer", "number").iter_rows(named=True):
        before = Decimal(row["net_minor"]).scaleb(-minor_units(row["currency"]))
        after = before + differences.pop((row["tenant"], row["number"]), Decimal(0))
        invoices.append(Change(row["tenant"], row["customer"], row["currency"], before, after, row["number"]))
    if differences:
        raise RefusalError(
            "plan_changed",
            f"the plan changes {next(iter(differences))[1]!r}, which is not booked here: make a new plan",
            "PLAN",
        )
    return Review(plan, invoices)


def invoices_as_json(found: Review) -> list[dict[str, str]]:
    """tenant, customer, invoice, currency, before, after and difference (text in major units) of each invoice."""
    rows = []
    for one in found.invoices:
        places = minor_units(one.currency)
        amounts = {name: f"{getattr(one, name):.{places}f}" for name in ("before", "after", "difference")}
        named = {"tenant": one.tenant, "customer": one.customer, "invoice": one.invoice, "currency": one.currency}
        rows.append(named | amounts)
    return rows
