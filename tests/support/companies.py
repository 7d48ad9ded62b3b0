"""Several tenants' worlds billed run by run, alone or all in one call, and what comes of it as text."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import polars as pl
import rfc8785

from tests.support.ledger import World, instant
from valueverse.catalog.history import CatalogHistory
from valueverse.invoicing import in_memory_billing as books_of
from valueverse.invoicing.engine import bill
from valueverse.invoicing.in_memory_billing import RecordedInvoices
from valueverse.invoicing.rendering.invoice_documents import build_invoice_documents
from valueverse.schemas.invoicing import INVOICE
from valueverse.schemas.settlement import APPROVED_PROPOSALS
from valueverse.subscriptions.timeline import build_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from valueverse.invoicing.engine import Billed

Run = tuple[str, str, str]
"""First and last date of the window, and the run's present."""


def months(first: str, count: int) -> list[Run]:
    """One run per month, three days after each closes."""
    edges = [date.fromisoformat(first)]
    for _ in range(count):
        edges.append((edges[-1] + timedelta(days=32)).replace(day=1))
    return [(str(start), str(end), str(end + timedelta(days=3))) for start, end in pairwise(edges)]


def bill_runs(
    worlds: Sequence[World], runs: Sequence[Run], *, shuffle: int | None = None, holds: bool = False
) -> list[Billed]:
    """What each run finalises over the facts and usage of all these worlds.

    ``shuffle``: with their rows in the random order of this seed; ``holds``: subscriptions wait for their customer.
    """
    facts = pl.concat([world.facts_frame() for world in worlds])
    usage = pl.concat([world.usage_frame() for world in worlds])
    if shuffle is not None:
        facts = facts.sample(fraction=1, shuffle=True, seed=shuffle)
        usage = usage.sample(fraction=1, shuffle=True, seed=shuffle + 1)
    books, found = RecordedInvoices(), []
    history = CatalogHistory.from_facts(facts)
    agreed = [row for world in worlds if isinstance(world, Measured) for row in world.outcomes]
    outcomes = pl.DataFrame(agreed, schema=APPROVED_PROPOSALS)
    for first, last, at in runs:
        moment = instant(at)
        known = {world.tenant: _known(world, moment) for world in worlds}
        timeline = build_timeline(facts, history.plans, moment, holds=holds)
        window = (date.fromisoformat(first), date.fromisoformat(last))
        proposed = _not_billed(found, outcomes)
        # Runs in memory have no proposals of their own: those that were approved are given to them here.
        with patch.object(books_of, "bill", partial(bill, outcomes=proposed)):
            found.append(books.run(timeline, history, usage.lazy(), facts, window, known_at=known, as_of=moment))
    return found


def _not_billed(billed: Sequence[Billed], outcomes: pl.DataFrame) -> pl.DataFrame:
    """Proposals that no finalised invoice bills yet."""
    lines = [run.lines.filter(pl.col("kind") == "outcome").select("tenant", "proposal") for run in billed]
    return outcomes.join(pl.concat(lines), on=["tenant", "proposal"], how="anti") if lines else outcomes


def _known(world: World, moment: datetime) -> datetime:
    rows = [*world.facts, *world.usage]
    seen = [row[name] for row in rows for name in ("received_at", "known_until") if row.get(name) is not None]
    return max(one for one in seen if one <= moment)


def as_texts(billed: Sequence[Billed], tenant: str) -> list[str]:
    """All results of runs for one tenant: documents byte for byte, lines, what coupons and credits are of, what
    was held and what refused."""
    found = []
    for number, run in enumerate(billed):
        mine = pl.col("tenant") == tenant
        invoices = run.invoices.filter(mine).sort(INVOICE)
        lines = run.lines.filter(mine)
        found += [f"{number} {rfc8785.dumps(one).decode()}" for one in build_invoice_documents(invoices, lines)]
        found += [f"{number} {row}" for row in invoices.rows()]
        ordered = lines.sort("place").drop("place", "terms")
        found += [f"{number} {row}" for row in ordered.rows()]
        for rest in (run.problems, run.rejected):
            found += sorted(f"{number} {row}" for row in rest.filter(mine).rows())
    return found


def of_invoices(billed: Sequence[Billed], tenant: str, *names: str) -> list[Any]:
    """These columns of a tenant's invoices, run by run, in the order in which they close."""
    mine = [run.invoices.filter(pl.col("tenant") == tenant).sort("close", *INVOICE).select(names) for run in billed]
    rows = pl.concat(mine).rows()
    return [row[0] for row in rows] if len(names) == 1 else rows


AGGREGATIONS = ("count", "sum", "min", "max", "avg", "latest", "unique_count", "weighted_sum")
BARE = {"key": "bare", "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": "3"}]}
"""A plan whose last period has nothing to bill at its close."""


class Measured(World):
    """A world with approved proposals (``outcomes``: APPROVED_PROPOSALS) and usage of meters without a charge
    (``seen``: time, subject, n and op)."""

    outcomes: list[dict[str, Any]]
    seen: list[tuple[datetime, str, int, str]]


class Company:
    """A random company drawn from a seed: catalogs, customers and a year's first months of events.

    Names are few and counted alike in every company, so that keys, sources, ids, customers, subscriptions, coupons,
    wallets, plans, meters and invoice numbers are equal across companies while prices, times and amounts differ.
    """

    def __init__(self, tenant: str, seed: int) -> None:
        self._draw = random.Random(seed)
        self.world = Measured(self._catalog(), tenant=tenant)
        self.world.outcomes, self.world.seen = [], []
        self._payments()
        for number in range(self._draw.randint(1, 3)):
            self._subscription(number)
        self._money()
        self._use()
        self._late()
        self._always()
        self._value()
        assert self.world.history().rejected.is_empty()

    def _price(self) -> str:
        return str(self._draw.choice(["0.01", "0.333", "1", "2.5", "7.77"]))

    def _chance(self, percent: int) -> bool:
        return self._draw.randrange(100) < percent

    def _day(self, first: str = "2024-01-02", days: int = 110) -> str:
        moment = date.fromisoformat(first) + timedelta(days=self._draw.randrange(days))
        return f"{moment}T{self._draw.randrange(24):02}:00:00+00:00"

    def _catalog(self) -> dict[str, Any]:
        draw = self._draw
        meters = [
            {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"]},
            {"key": "seats", "event_type": "used", "aggregation": draw.choice(["max", "latest"]), "value": "n"},
            *(
                {"key": kind, "event_type": "seen", "aggregation": kind, "value": "n", "operation": "op"}
                if kind == "unique_count"
                else {"key": kind, "event_type": "seen", "aggregation": kind, "value": "n"}
                for kind in AGGREGATIONS
            ),
        ]
        return {
            "meters": meters,
            "plans": [self._plan("pro"), self._plan("team"), self._shared(), BARE],
            "coupons": [
                {"key": "off", "percent": draw.choice(["5", "10", "33.3"]), "periods": draw.randint(1, 3)},
                {"key": "fix", "amount": draw.choice(["3", "12.34"]), "currency": "USD"},
            ],
            "taxes": [{"key": "vat", "percent": draw.choice(["7.7", "20"])}] if self._chance(50) else [],
            "rounding": {"mode": draw.choice(["half_up", "half_even"]), "level": draw.choice(["line", "invoice"])},
            "zero_invoices": draw.choice(["issue", "skip"]),
            "grace": draw.choice(["1 day", "2 days"]),
        }

    def _plan(self, key: str) -> dict[str, Any]:
        draw = self._draw
        tiers = [{"up_to": "10", "unit": self._price()}, {"up_to": None, "unit": self._price()}]
        tokens: dict[str, Any] = {
            "key": "usage",
            "meter": "tokens",
            "price": draw.choice(
                [{"model": "standard", "unit": self._price()}, {"model": "graduated", "tiers": tiers}]
            ),
        }
        if self._chance(50):
            tokens["split_by"] = ["model"]
        seats = {"key": "seats", "meter": "seats", "price": {"model": "standard", "unit": self._price()}}
        plan: dict[str, Any] = {
            "key": key,
            "period": {"align": draw.choice(["calendar", "anniversary"])},
            "fees": [
                {"key": "base", "amount": str(draw.randint(5, 50)), "timing": draw.choice(["in_advance", "in_arrears"])}
            ],
            "charges": [tokens, seats],
        }
        if self._chance(30):
            plan["threshold"] = str(draw.randint(10, 60))
        if self._chance(30):
            plan["commitment"] = {"minimum": str(draw.randint(20, 120))}
        return plan

    def _shared(self) -> dict[str, Any]:
        """A plan that shares what a value model says was saved."""
        price = {"model": "outcome", "value_model": "saved", "output": "realised.saving"}
        price |= {"share": self._draw.choice(["0.1", "0.25"])}
        return {
            "key": "worth",
            "period": {"align": "calendar"},
            "fees": [{"key": "base", "amount": self._price(), "timing": "in_arrears"}],
            "charges": [{"key": "value", "price": price}],
        }

    def _payments(self) -> None:
        zone = self._draw.choice(["UTC", "Europe/Zurich", "America/New_York"])
        self.world.record("tenant.created", "2023-01-02", {"tenant": self.world.tenant, "timezone": zone})
        for customer in ("c0", "c1"):
            data = {"customer": customer, "name": customer, "country": "FR"}
            self.world.record("customer.created", "2023-01-03", data)
        self.world.start("2024-01-01", plan="worth", subscription="v0", customer="c0")
        # One subscription waits for its customer.
        self.world.start(self._day(days=30), plan="pro", subscription="s9", customer="c9")
        if self._chance(50):
            self.world.record("customer.created", self._day(), {"customer": "c9", "name": "late"})

    def _subscription(self, number: int) -> None:
        one, draw = self.world, self._draw
        name, customer = f"s{number}", draw.choice(["c0", "c1"])
        one.start(self._day(days=30), plan=draw.choice(["pro", "team"]), subscription=name, customer=customer)
        for _ in range(draw.randrange(3)):
            when = self._day("2024-02-02", 60)
            one.record("subscription.changed", when, {"subscription": name, "plan": draw.choice(["pro", "team"])})
        if self._chance(20):
            one.record("subscription.ended", self._day("2024-04-02", 20), {"subscription": name})

    def _money(self) -> None:
        one, draw = self.world, self._draw
        for customer in ("c0", "c1"):
            if self._chance(60):
                payload = {"customer": customer, "coupon": draw.choice(["off", "fix"])}
                one.record("coupon.applied", self._day(), payload)
            if self._chance(60):
                amount, priority = str(draw.randint(5, 80)), str(draw.randint(1, 2))
                held = {"customer": customer, "wallet": "w", "amount": amount, "currency": "USD", "priority": priority}
                one.record(draw.choice(["wallet.granted", "wallet.purchased"]), self._day(), held)
            if self._chance(50):
                amount = str(draw.randint(1, 30))
                payload = {"customer": customer, "description": "help", "amount": amount, "currency": "USD"}
                one.record("one_off.added", self._day(), payload)
        for _ in range(draw.randrange(3)):
            invoice = f"{one.tenant}-{draw.randint(1, 4):06d}"
            when = self._day("2024-03-05", 60)
            if self._chance(70):
                payload = {"invoice": invoice, "amount": str(draw.randint(1, 9)), "currency": "USD", "reason": "sorry"}
                one.record("credit_note.issued", when, payload)
            else:
                one.record("invoice.voided", when, {"invoice": invoice, "reason": "wrong"})

    def _use(self) -> None:
        one, draw = self.world, self._draw
        for _ in range(draw.randrange(5, 25)):
            when, customer = self._day(), draw.choice(["c0", "c1"])
            named = draw.choice([{}, {"subscription": "s0"}, {"subscription": "s1"}])
            model = draw.choice(["large", "small"])
            if self._chance(70):
                one.use(
                    when, "tokens", str(draw.randint(1, 40)), customer, dimensions=f'{{"model":"{model}"}}', **named
                )
            else:
                one.use(when, "seats", str(draw.randint(1, 5)), customer, **named)

    def _late(self) -> None:
        """Some events are received late, amended or withdrawn after its period was billed."""
        for row in self.world.facts:
            if not row["type"].startswith(("billing.subscription.", "billing.coupon.", "billing.one_off.")):
                continue
            later = row["time"] + timedelta(days=self._draw.randint(1, 60))
            if self._chance(10):
                row["received_at"] = later
            elif self._chance(10) and not row["type"].endswith("started"):
                row["known_until"] = later
        for row in list(self.world.usage):
            later = row["time"] + timedelta(days=self._draw.randint(1, 60))
            if self._chance(15):
                row["received_at"] = later
            elif self._chance(10):
                row["known_until"] = later
                if self._chance(60):
                    amended = row | {"received_at": later, "known_until": None, "id": f"{row['id']}a"}
                    self.world.usage.append(amended | {"value": row["value"] + 3})

    def _always(self) -> None:
        """What a random company may lack."""
        one, mine = self.world, {"customer": "c0", "currency": "USD"}
        one.start("2024-01-15", plan="bare", subscription="e0", customer="c1", ends_at="2024-03-01")
        one.record("wallet.granted", "2024-01-02", mine | {"wallet": "w", "amount": "15"})
        one.record("coupon.applied", "2024-01-02", {"subscription": "v0", "coupon": "off"})
        one.record("coupon.applied", "2024-01-03", {"subscription": "v0", "coupon": "none"})
        one.record("cost.recorded", "2024-01-20", {"amount": str(self._draw.randint(5, 90)), "currency": "USD"})
        note = {"invoice": f"{one.tenant}-000001", "amount": "0.01", "currency": "USD", "reason": "sorry"}
        one.record("credit_note.issued", "2024-03-10", note)
        one.record("invoice.voided", "2024-03-20", {"invoice": f"{one.tenant}-000003", "reason": "wrong"})
        paid = {"invoice": f"{one.tenant}-000002", "amount": "1", "currency": "USD", "reference": "r1"}
        one.record("payment.received", "2024-03-12", paid)
        for _ in range(20):
            subject = self._draw.choice(["c0", "c1", "c0/s0"])
            op = self._draw.choice(["add", "add", "remove"])
            one.seen.append((instant(self._day()), subject, self._draw.randint(-5, 40), op))

    def _value(self) -> None:
        """Fees for outcomes, by names that are equal in every company."""
        for number in range(1, 4):
            first, last = instant(f"2024-{number:02}-01"), instant(f"2024-{number + 1:02}-01")
            name = f"v0/value/2024-{number:02}..2024-{number:02}/1"
            same = {"proposal": name, "subscription": "v0", "charge": "value", "customer": "c0", "model": "saved"}
            approved_at = last + timedelta(days=self._draw.randint(1, 40))
            money = {"amount": Decimal(self._draw.randint(1, 900)) / 10, "currency": "USD"}
            span = {"period_from": first, "period_to": last, "approved_at": approved_at}
            self.world.outcomes.append({"tenant": self.world.tenant, **same, **money, **span})
