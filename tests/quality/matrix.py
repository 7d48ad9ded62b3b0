"""Events of many tenants: every price model x aggregation x sign, every override, option, fee and correction."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import product
from typing import Any, get_args

import polars as pl

from tests.quality.matrix_options import (
    CORRECTIONS,
    LATE,
    METER_OPTIONS,
    NOVEMBER,
    OPTIONS,
    PLAN_OVERRIDES,
    PRICES,
    SIGNS,
    TIERS,
    catalog,
    fees,
    models,
    periods,
    roundings,
)
from valueverse.catalog.meters import LEVEL_AGGREGATIONS, PRORATED_AGGREGATIONS, Aggregation
from valueverse.services.lake_tables import EVENTS_TABLE


class World:
    """Events of many tenants in the columns of the lake."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, tenant: str, kind: str, time: datetime, data: Any, **more: Any) -> str:
        """One event; gives its id. The same source and ids in every tenant."""
        number = f"e{sum(1 for row in self.rows[-2000:] if row['tenant'] == tenant)}"
        self.rows.append(
            {"tenant": tenant, "source": "app", "id": number, "type": kind, "time": time, "event_date": time.date(),
             "data": None if data is None else json.dumps(data), "received_at": time} | more
        )  # fmt: skip
        return number

    def use(self, tenant: str, customer: str, sign: int) -> list[str]:
        """Usage of November and December: two regions, several a day, some users leave."""
        ids = []
        for month, (day, n, region, op) in product((0, 30), USES):
            time = NOVEMBER + timedelta(days=month + day, hours=day)
            data = {"n": str(sign * n), "paid": str(n / 4), "region": region, "user": f"u{n % 3}", "op": op}
            ids.append(self.add(tenant, "used", time, data, subject=customer, customer=customer))
        # Two sources, one id and one instant: the greater source is the later one, wherever its row stands.
        for month, (source, n, op) in product((0, 30), (("z", 9, "remove"), ("a", 2, "add"))):
            data = {"n": str(sign * n), "paid": "1", "region": "eu", "user": "u4", "op": op}
            time, more = (
                NOVEMBER + timedelta(days=month + 20, hours=21),
                {"source": source, "id": f"{customer}-{month}"},
            )
            self.add(tenant, "used", time, data, subject=customer, customer=customer, **more)
        return ids

    def start(
        self, tenant: str, customer: str, overrides: dict[str, Any] | None = None, at: datetime = NOVEMBER
    ) -> None:
        """A customer and its subscription, both named alike in every tenant."""
        self.add(tenant, "billing.customer.created", at, {"customer": customer, "name": customer})
        data = {"subscription": f"s-{customer}", "customer": customer, "plan": "p"}
        self.add(tenant, "billing.subscription.started", at, data | ({"overrides": overrides} if overrides else {}))

    def frame(self, received_by: datetime) -> pl.DataFrame:
        """What had been received."""
        rows = [row for row in self.rows if row["received_at"] <= received_by]
        return pl.DataFrame(rows, schema=EVENTS_TABLE.schema)


USES = ((0, 5, "eu", "add"), (0, 8, "us", "add"), (3, 13, "eu", "add"), (9, 21, "us", "remove"), (20, 4, "eu", "add"))


def tenant_of(model: str, number: int, aggregation: str) -> str:
    """Name of the tenant of a cell."""
    return f"{model}{number}-{aggregation}".replace("_", "-")


def world() -> World:
    """All tenants."""
    made = World()
    priced = [(model, number, price) for model in models() for number, price in enumerate(PRICES[model])]
    for place, (model, number, price) in enumerate(priced):
        for aggregation in get_args(Aggregation):
            tenant = tenant_of(model, number, aggregation)
            document = catalog({"model": model} | price, aggregation)
            made.add(tenant, "billing.catalog.published", NOVEMBER - timedelta(days=300), document)
            for name, sign in SIGNS.items():
                made.start(tenant, name)
                if sign:
                    made.use(tenant, name, sign)
            # Two at a time: every override with each price where the meter sums, and with each other aggregation once.
            chosen = slice(None) if aggregation == "sum" else slice(place, None, len(priced))
            _overridden(made, tenant, document["plans"][0]["charges"][0], aggregation, chosen)
            if aggregation == "sum":
                _corrected(made, tenant)
    _metered(made)
    _drawn(made)
    _shared(made)
    _held_back(made)
    _moved(made)
    _planned(made)
    _from_nothing(made)
    _taken_back(made)
    return made


def _held_back(made: World) -> None:
    """An invoice that billing holds back, since its usage has no price, holds nothing else back."""
    tenant, price = "held-back", {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "1"}]}
    document = catalog(price, "sum")
    made.add(tenant, "billing.catalog.published", NOVEMBER - timedelta(days=300), document)
    made.start(tenant, "unpriced")
    made.use(tenant, "unpriced", 1)
    made.start(tenant, "idle")


def _priced(made: World, tenant: str, aggregation: str, change: dict[str, Any]) -> dict[str, Any]:
    """Publish a catalog with a graduated price whose parts say something else."""
    document = catalog({"model": "graduated", "tiers": TIERS}, aggregation)
    document["meters"][0] |= change.get("meter", {})
    document |= change.get("catalog", {})
    for plan in document["plans"]:
        plan.update(change.get("plan", {}))
    made.add(tenant, "billing.catalog.published", NOVEMBER - timedelta(days=300), document)
    return document


def _metered(made: World) -> None:
    """Every field of a meter x aggregation, and every way to round amounts, with splits and with matrices."""
    for (name, option), aggregation in product(METER_OPTIONS.items(), get_args(Aggregation)):
        fits = {
            "carry_over": aggregation in LEVEL_AGGREGATIONS,
            "value": aggregation not in {"count", "unique_count"},
            "operation": aggregation == "unique_count",
        }
        if fits.get(name, True):
            tenant = f"meter-{name}-{aggregation}".replace("_", "-")
            charge = _priced(made, tenant, aggregation, {"meter": option})["plans"][0]["charges"][0]
            for customer, overrides in (
                ("plain", None),
                ("split", {"charges": [charge | OPTIONS["split_by"]]}),
                ("committed", {"charges": [charge | OPTIONS["split_by"]], "commitment": {"minimum": "400"}}),
                ("matrix", {"charges": [charge | {"price": {"model": "matrix"} | PRICES["matrix"][0]}]}),
                ("hours", {"charges": [charge | {"price": {"model": "bucketed"} | PRICES["bucketed"][1]}]}),
                ("days", {"charges": [charge | OPTIONS["prorate"]]} if aggregation in PRORATED_AGGREGATIONS else None),
            ):
                made.start(tenant, customer, overrides)
                made.use(tenant, customer, 1)
    for rounding in roundings():
        tenant = "rounding-{mode}-{level}".format(**rounding).replace("_", "-")
        _priced(made, tenant, "sum", {"catalog": {"rounding": rounding}})
        for customer, sign in (("plain", 1), ("below", -1)):
            made.start(tenant, customer)
            made.use(tenant, customer, sign)


def _drawn(made: World) -> None:
    """Every unit and alignment of periods, in a zone whose clocks change, cut by a pause and by an end."""
    for period in periods():
        tenant = "period-{unit}-{align}".format(**period)
        _priced(made, tenant, "weighted_sum", {"plan": {"period": period}, "catalog": {"timezone": "America/New_York"}})
        for customer in ("whole", "paused", "ended"):
            made.start(tenant, customer)
            made.use(tenant, customer, 1)
            about = {"subscription": f"s-{customer}"}
            if customer == "paused":
                made.add(tenant, "billing.subscription.paused", NOVEMBER + timedelta(days=4, hours=7), about)
                made.add(tenant, "billing.subscription.resumed", NOVEMBER + timedelta(days=9, hours=3), about)
            if customer == "ended":
                made.add(tenant, "billing.subscription.ended", NOVEMBER + timedelta(days=17, hours=5), about)


def _shared(made: World) -> None:
    """A customer with two subscriptions whose usage names none of them: one paused, ended, changed, or on trial."""
    for aggregation in ("sum", "max", "unique_count"):
        tenant = f"shared-{aggregation}".replace("_", "-")
        _priced(made, tenant, aggregation, {})
        day = NOVEMBER + timedelta(days=2)
        for kind in ("both", "paused", "resumed", "ended", "later", "other", "waiting", "trial"):
            made.start(tenant, kind)
            second = {"subscription": f"t-{kind}", "customer": kind, "plan": "p"}
            if kind == "trial":
                second["overrides"] = {"trial": {"days": 10}}
            begins = NOVEMBER + timedelta(days=8 if kind == "later" else 0)
            made.add(tenant, "billing.subscription.started", begins, second)
            about = {"subscription": f"t-{kind}"}
            unlike = {
                "overrides": {"charges": [{"key": "c", "meter": "m2", "price": {"model": "standard", "unit": "1"}}]}
            }
            if kind in {"paused", "resumed", "ended"}:
                made.add(tenant, f"billing.subscription.{'ended' if kind == 'ended' else 'paused'}", day, about)
            if kind == "resumed":
                made.add(tenant, "billing.subscription.resumed", day + timedelta(days=12), about)
            if kind == "other":
                made.add(tenant, "billing.subscription.changed", day, about | unlike)
            if kind == "waiting":
                made.add(tenant, "billing.subscription.changed", day, about | unlike | {"effective": "period_end"})
            made.use(tenant, kind, 1)


def _moved(made: World) -> None:
    """A change to other periods, withdrawn after its periods were billed: they are taken back, and others close."""
    tenant = "period-moved"
    change = {"plan": {"period": {"align": "calendar"}}}
    document = _priced(made, tenant, "sum", change)
    document["plans"][1]["period"] = {"unit": "week", "align": "calendar"}
    made.rows[-1]["data"] = json.dumps(document)
    for customer in ("moved", "taxed"):
        made.start(tenant, customer)
        made.use(tenant, customer, 1)
        plan_change = {"subscription": f"s-{customer}", "plan": "q"}
        first = made.add(tenant, "billing.subscription.changed", NOVEMBER + timedelta(days=2), plan_change)
        made.add(tenant, "billing.subscription.changed", NOVEMBER + timedelta(days=8), plan_change)
        more: dict[str, Any] = {"replaces": first, "received_at": LATE}
        made.add(tenant, "billing.subscription.changed", NOVEMBER + timedelta(days=2), None, **more)
    # A change that is known late: the period billed ends earlier, and the rest of its usage is of other periods.
    for customer, day, effective in (("late-now", 5, "now"), ("late-planned", -20, "period_end")):
        made.start(tenant, customer, at=NOVEMBER - timedelta(days=40))
        made.use(tenant, customer, 1)
        late = {"subscription": f"s-{customer}", "plan": "q", "effective": effective}
        made.add(tenant, "billing.subscription.changed", NOVEMBER + timedelta(days=day), late, received_at=LATE)
    # An end that is withdrawn: the period closes twice, and the second time nothing is left to bill but the difference.
    made.start(tenant, "withdrawn")
    ends = made.add(
        tenant, "billing.subscription.ended", NOVEMBER + timedelta(days=12), {"subscription": "s-withdrawn"}
    )
    more = {"replaces": ends, "received_at": LATE}
    made.add(tenant, "billing.subscription.ended", NOVEMBER + timedelta(days=12), None, **more)


def _taken_back(made: World) -> None:
    """Cells of a matrix, one of which is below 0 and has no price."""
    price = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "2"}]}
    tenant = "cell-taken-back"
    made.add(tenant, "billing.catalog.published", NOVEMBER - timedelta(days=300), catalog(price, "sum"))
    made.start(tenant, "less")
    for day, region, n in ((1, "eu", "9"), (2, "us", "-3"), (31, "us", "-3"), (32, "eu", "4")):
        data = {"n": n, "region": region}
        made.add(tenant, "used", NOVEMBER + timedelta(days=day), data, subject="less", customer="less")


def _planned(made: World) -> None:
    """A change that waits for the period's end, and one now that states another part: December has both."""
    _priced(made, "planned", "sum", {})
    made.start("planned", "counted")
    made.use("planned", "counted", 1)
    waits = {"plan": "p", "overrides": {"fees": [{"key": "f1", "unit_amount": "9"}]}, "effective": "period_end"}
    for day, stated in ((4, waits), (12, {"quantities": {"f1": "7"}})):
        data = {"subscription": "s-counted"} | stated
        made.add("planned", "billing.subscription.changed", NOVEMBER + timedelta(days=day), data)


def _from_nothing(made: World) -> None:
    """Seats that fall to none within a period and rise again: of nothing, nothing is given back."""
    _priced(made, "from-nothing", "sum", {})
    made.start("from-nothing", "counted")
    made.use("from-nothing", "counted", 1)
    for day, seats in ((4, "0"), (12, "4"), (20, "7")):
        data = {"subscription": "s-counted", "quantities": {"f1": seats, "f7": seats}}
        made.add("from-nothing", "billing.subscription.changed", NOVEMBER + timedelta(days=day), data)


def _overridden(made: World, tenant: str, charge: dict[str, Any], aggregation: str, chosen: slice) -> None:
    stated = {f"charge-{name}": {"charges": [{"key": "c"} | option]} for name, option in OPTIONS.items()}
    if charge["price"]["model"] in {"capacity", "outcome", "bucketed"} or aggregation not in PRORATED_AGGREGATIONS:
        # Days are counted of single quantities.
        stated.pop("charge-prorate")
    if charge["price"]["model"] == "outcome":
        stated.pop("charge-when"), stated.pop("charge-split_by")
    every = stated | {f"plan-{name}": one for name, one in PLAN_OVERRIDES.items()}
    for name, overrides in list(every.items())[chosen]:
        customer = name.replace("_", "-")
        made.start(tenant, customer, overrides)
        made.use(tenant, customer, 1)


def _corrected(made: World, tenant: str) -> None:
    for kind in CORRECTIONS:
        free = [fee | ({"amount": "0"} if "amount" in fee else {"unit_amount": "0"}) for fee in fees()]
        early = kind in {"discount_below_zero", "threshold_voided"}
        made.start(tenant, kind, {"threshold": "5", "fees": free} if early else None)
        used = made.use(tenant, kind, 1)
        first, second, *_ = used
        day = NOVEMBER + timedelta(days=12)
        late = {"subject": kind, "customer": kind, "received_at": LATE}
        data = {"n": "100", "paid": "7", "region": "eu", "user": "u9", "op": "add"}
        match kind:
            case "late":
                made.add(tenant, "used", day, data, **late)
            case "amended":
                made.add(tenant, "used", NOVEMBER, data, **late, replaces=first)
            case "voided":
                made.add(tenant, "used", NOVEMBER, None, **late, replaces=second)
            case "ended":
                made.add(tenant, "billing.subscription.ended", day, {"subscription": f"s-{kind}"}, received_at=LATE)
            case "changed":
                made.add(tenant, "billing.subscription.changed", day, {"subscription": f"s-{kind}", "plan": "q"})
            case "coupon":
                for coupon in ("tenth", "five"):
                    made.add(tenant, "billing.coupon.applied", NOVEMBER, {"customer": kind, "coupon": coupon})
            case "wallet" | "credit_below_zero":
                grant = {"customer": kind, "wallet": "w", "amount": "7", "currency": "USD"}
                granted = made.add(tenant, "billing.wallet.granted", NOVEMBER, grant)
                if kind == "credit_below_zero":
                    more = {"replaces": granted, "received_at": LATE}
                    made.add(tenant, "billing.wallet.granted", NOVEMBER, None, **more)
            case "discount_below_zero":
                made.add(tenant, "billing.coupon.applied", NOVEMBER, {"customer": kind, "coupon": "tenth"})
                # of December, whose first days were billed early
                for usage in used[len(USES) : len(USES) + 4]:
                    made.add(tenant, "used", NOVEMBER, None, **late, replaces=usage)


def answer(made: World, numbers: dict[tuple[str, str], str]) -> None:
    """Events of invoices once they have a number: by tenant and customer, that of November's closing invoice."""
    for (tenant, customer), number in numbers.items():
        about: dict[str, Any] = {"invoice": number, "reason": "wrong"}
        if customer in {"invoice_voided", "threshold_voided"}:
            made.add(tenant, "billing.invoice.voided", LATE, about)
        if customer == "credit_note":
            made.add(tenant, "billing.credit_note.issued", LATE, about | {"amount": "1.5", "currency": "USD"})
