"""Which tax a line has: charge or fee before plan before customer before tenant; rates of one level add.

A tax that names a country holds for customers of that country, and for those whose country is not known where it is
named outright. The tenant's own level is what the catalog's taxes say by themselves: those of the customer's country,
and those without a country that no plan, fee or charge names (docs/decisions/0015).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError
from valueverse.invoicing.periods.billing_periods import CLOSE
from valueverse.money import exact
from valueverse.schemas.invoicing import WORKING_LINES
from valueverse.schemas.settlement import LINE_TAXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.catalog import Catalog, Tax

UNKNOWN_TAX = "unknown_tax"
_ASKED = ("stated", "catalog_hash", "country", "tax_rates")
Rate = tuple[str, Decimal]


def with_taxes(
    lines: pl.DataFrame, stated: pl.DataFrame, standings: pl.DataFrame, catalogs: Mapping[str, Catalog]
) -> pl.DataFrame:
    """WORKING_LINES with tax_percent, tax_key (names of the rates, joined by '+'; '' none) and tax_problem.

    Args:
        lines: WORKING_LINES.
        stated: terms, key ('' for the plan itself), taxes (their keys, joined by ','): ``Terms.taxes``.
        standings: TAX_STATUSES.
        catalogs: by hash.
    """
    own = stated.filter(pl.col("key") != "").rename({"taxes": "own"})
    plan = stated.filter(pl.col("key") == "").select("terms", pl.col("taxes").alias("of_plan"))
    asked = (
        _at_its_time(lines.drop("tax_percent", "tax_key", "tax_problem"), standings)
        .join(own, on=["terms", "key"], how="left", maintain_order="left")
        .join(plan, on="terms", how="left", maintain_order="left")
        .with_columns(pl.coalesce("own", "of_plan").alias("stated"))
    )
    rows = [
        (*row, *_resolved(catalogs.get(row[1]), row[0], row[2], row[3]))
        for row in asked.select(_ASKED).unique(maintain_order=True).iter_rows()
    ]
    found = pl.DataFrame(rows, schema=LINE_TAXES, orient="row")
    resolved = asked.join(found, on=_ASKED, how="left", nulls_equal=True, maintain_order="left")
    return WORKING_LINES.conform(_as_booked(resolved))


def _as_booked(lines: pl.DataFrame) -> pl.DataFrame:
    """A correction of a line without terms now has the tax of that line: what was taken is given
    back."""
    gone = pl.col("terms").is_null() & pl.col("booked_tax_percent").is_not_null()
    return lines.with_columns(
        pl.when(gone).then("booked_tax_percent").otherwise("tax_percent").alias("tax_percent"),
        pl.when(gone).then("booked_tax_key").otherwise("tax_key").alias("tax_key"),
        pl.when(~gone).then("tax_problem").alias("tax_problem"),
    )


def _at_its_time(lines: pl.DataFrame, standings: pl.DataFrame) -> pl.DataFrame:
    """Add country and tax_rates of each line's customer as they held when its service ended.

    What is billed in advance has the tax as its invoice closes. A correction has the tax of what it corrects, whatever
    holds today: that of its service, or as the corrected invoice closed. Before the first statement, the first
    statement holds.
    """
    last = pl.min_horizontal("service_to", "close") - pl.duration(microseconds=1)
    instant = pl.when(pl.col("service_from") >= pl.col("close")).then("close").otherwise(last)
    owner = ["tenant", "customer"]
    first = standings.group_by(owner, maintain_order=True).first().drop("since")
    closed = lines.with_columns(pl.coalesce("corrected_close", CLOSE).alias("close"))
    placed = closed.with_columns(pl.coalesce(instant, "close").alias("instant")).with_row_index("_place")
    return (
        placed.sort("instant")
        .join_asof(standings, left_on="instant", right_on="since", by=owner, check_sortedness=False)
        .join(first, on=owner, how="left", suffix="_first")
        .with_columns(
            pl.when(pl.col("since").is_null()).then(f"{name}_first").otherwise(name).alias(name)
            for name in ("country", "tax_rates")
        )
        .sort("_place")
        .drop("_place", "instant", "since", "country_first", "tax_rates_first")
    )


def _resolved(
    catalog: Catalog | None, stated: str | None, country: str | None, tax_rates: str | None
) -> tuple[Decimal, str, str | None]:
    taxes = {} if catalog is None else {tax.key: tax for tax in catalog.taxes}
    if stated:
        rates: Iterable[Rate] = [
            (key, taxes[key].percent) for key in stated.split(",") if _holds(taxes[key], country, named=True)
        ]
    elif tax_rates is not None:
        try:
            rates = [_customers_rate(rate, taxes) for rate in json.loads(tax_rates, parse_float=str, parse_int=str)]
        except (KeyError, RefusalError):
            # What is no number is the key of a tax, and this catalog has none of that name.
            return Decimal(0), "", UNKNOWN_TAX
    else:
        rates = [] if catalog is None else _tenants_rates(catalog, country)
    percents = [(key, percent) for key, percent in rates if percent]
    return sum((percent for _, percent in percents), Decimal(0)), "+".join(key for key, _ in percents), None


def _holds(tax: Tax, country: str | None, *, named: bool) -> bool:
    return tax.country is None or tax.country == (country or "").upper() or (named and not country)


def _customers_rate(rate: Any, taxes: Mapping[str, Tax]) -> Rate:
    percent = str(rate.get("percent") if isinstance(rate, dict) else rate)
    key = str(rate.get("key") or "customer") if isinstance(rate, dict) else "customer"
    return (percent, taxes[percent].percent) if percent in taxes else (key, _percent(percent))


def _percent(text: str) -> Decimal:
    if text[:1].isalpha():
        raise KeyError(text)
    return exact(text)


def _tenants_rates(catalog: Catalog, country: str | None) -> list[Rate]:
    named = {
        key
        for plan in catalog.plans
        for taxes in (plan.taxes, *(fee.taxes for fee in plan.fees), *(charge.taxes for charge in plan.charges))
        for key in taxes
    }
    return [
        (tax.key, tax.percent)
        for tax in catalog.taxes
        if (tax.country is not None or tax.key not in named) and _holds(tax, country, named=False)
    ]
