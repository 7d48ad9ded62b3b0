"""Tenant ``harbor-metrics``: seeded customers in two time zones, and every way in which events go wrong.

The usage lies between 1 February and 30 April 2024, across a leap day and both changes of the clock; every
subscription ends by 1 May, so that the demonstration has an end too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from valueverse.demo.files import DemoFile, Event, csv_table, gzipped, ndjson
from valueverse.demo.harbor_catalog import AWAY_ZONE, CATALOG, HOME_ZONE, TENANT
from valueverse.demo.incidents import incidents, late_corrections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20240201
CUSTOMERS = 120
FIRST_DAY = date(2024, 2, 1)
CLOSING = date(2024, 5, 1)
PLANS = ("starter", "growth", "merchant", "atlantic")
_PLACES = (
    "Altona",
    "Bremen",
    "Cuxhaven",
    "Danzig",
    "Emden",
    "Flensburg",
    "Gdynia",
    "Husum",
    "Itzehoe",
    "Jever",
)
_TRADES = (
    "Bakeries",
    "Boats",
    "Books",
    "Coffee",
    "Cranes",
    "Freight",
    "Labs",
    "Lights",
    "Maps",
    "Sails",
    "Tea",
    "Tools",
)
_REGIONS = ("eu-central", "eu-west", "us-east")


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody harbor-metrics bills, with the one subscription they hold."""

    key: str
    name: str
    plan: str
    zone: str
    start: date
    end: date

    @property
    def subscription(self) -> str:
        """The subscription's key."""
        return f"{self.key}-{self.plan}"


def customers(count: int = CUSTOMERS, seed: int = SEED) -> list[Customer]:
    """The customers: a quarter on each plan, those on ``atlantic`` in New York; every ninth leaves early."""
    random = Random(seed)  # noqa: S311 - a seeded generator is the point: the same demo everywhere
    found = []
    for index in range(count):
        plan = PLANS[index % len(PLANS)]
        start = FIRST_DAY - timedelta(days=7) + timedelta(days=random.randrange(0, 40))
        leaves = start + timedelta(days=random.randrange(20, 50)) if index % 9 == 8 else CLOSING
        name = f"{_PLACES[index % len(_PLACES)]} {_TRADES[index // len(_PLACES) % len(_TRADES)]}"
        key = f"{name.lower().replace(' ', '-')}-{index + 1:03d}"
        zone = AWAY_ZONE if plan == "atlantic" else HOME_ZONE
        found.append(Customer(key, name, plan, zone, start, min(leaves, CLOSING)))
    return found


def midnight(day: date, zone: str) -> str:
    """Local midnight as an RFC 3339 instant with that zone's offset."""
    return datetime.combine(day, time(), ZoneInfo(zone)).isoformat()


def event(identity: str, kind: str, at: str, data: dict[str, Any] | None, subject: str | None = None) -> Event:
    """A CloudEvent of harbor-metrics; usage comes from its gateway, billing events from its back office."""
    source = "harbor-office" if kind.startswith("billing.") else "harbor-gateway"
    body: Event = {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": kind,
        "tenant": TENANT,
        "time": at,
        "data": data,
    }
    return body if subject is None else {**body, "subject": subject}


def billing_events(everybody: list[Customer]) -> list[Event]:
    """Tenant, catalog, customers and subscriptions, and two starts that cannot be obeyed."""
    opening = midnight(date(2024, 1, 1), HOME_ZONE)
    tenant = {"tenant": TENANT, "name": "Harbor Metrics", "timezone": HOME_ZONE, "currency": "EUR"}
    events = [
        event("tenant", "billing.tenant.created", opening, tenant),
        event("catalog-1", "billing.catalog.published", opening, CATALOG),
    ]
    for one in everybody:
        events.append(
            event(
                f"customer-{one.key}",
                "billing.customer.created",
                midnight(one.start - timedelta(days=2), one.zone),
                {
                    "customer": one.key,
                    "name": one.name,
                    "timezone": one.zone,
                    "currency": "USD" if one.plan == "atlantic" else "EUR",
                },
            )
        )
        events.append(
            event(
                f"start-{one.key}",
                "billing.subscription.started",
                midnight(one.start, one.zone),
                {
                    "subscription": one.subscription,
                    "customer": one.key,
                    "plan": one.plan,
                    "ends_at": midnight(one.end, one.zone),
                },
            )
        )
    first = everybody[0]
    again = {"subscription": first.subscription, "customer": first.key, "plan": "starter"}
    unknown = {"subscription": f"{first.key}-gold", "customer": first.key, "plan": "gold"}
    at = midnight(first.start + timedelta(days=20), first.zone)
    events.append(event("start-twice", "billing.subscription.started", at, again))
    events.append(event("start-unknown-plan", "billing.subscription.started", at, unknown))
    return events


def _instant(random: Random, day: date) -> str:
    moment = datetime.combine(day, time(), UTC) + timedelta(milliseconds=random.randrange(86_400_000))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _days(one: Customer) -> Iterator[date]:
    # From the day after the start, so that no zone's offset pushes an ordinary event out of the subscription.
    day = max(one.start + timedelta(days=1), FIRST_DAY)
    while day < one.end - timedelta(days=1):
        yield day
        day += timedelta(days=1)


def _requests(random: Random, one: Customer, day: date) -> Iterator[Event]:
    if one.plan == "merchant" and day.day != 15:
        return  # that plan has no charge for requests: a few are enough to show up as unbilled
    for number in range(random.randrange(2, 9)):
        data = {
            "region": random.choice(_REGIONS),
            "user": f"user-{random.randrange(12)}",
            "megabytes": f"{random.randrange(1, 400_000) / 1000:.3f}",
        }
        yield event(f"r-{one.key}-{day:%m%d}-{number}", "api.request", _instant(random, day), data, one.key)


def _samples(random: Random, one: Customer, day: date) -> Iterator[Event]:
    if one.plan in {"starter", "merchant"}:
        data = {"gigabytes": f"{random.randrange(1_000, 140_000) / 1000:.3f}"}
        yield event(f"s-{one.key}-{day:%m%d}", "storage.sampled", _instant(random, day), data, one.key)


def _payments(random: Random, one: Customer, day: date) -> Iterator[Event]:
    if one.plan == "merchant":
        for number in range(random.randrange(0, 4)):
            data = {"amount": f"{random.randrange(199, 49_999) / 100:.2f}", "currency": "EUR"}
            identity = f"p-{one.key}-{day:%m%d}-{number}"
            yield event(identity, "payment.processed", _instant(random, day), data, one.key)


def _licences(random: Random, one: Customer, day: date) -> Iterator[Event]:
    if one.plan == "atlantic" and day.weekday() == 0:
        data = {"licences": random.randrange(3, 30)}
        yield event(f"l-{one.key}-{day:%m%d}", "licences.reported", _instant(random, day), data, one.key)


def _usage(
    make: Callable[[Random, Customer, date], Iterator[Event]], everybody: list[Customer], seed: int
) -> list[Event]:
    """Every customer's events of one kind, in time order, as a gateway would have written them."""
    random = Random(seed)  # noqa: S311 - seeded on purpose
    events = [found for one in everybody for day in _days(one) for found in make(random, one, day)]
    return sorted(events, key=lambda found: (found["time"], found["id"]))


def landing_files(count: int = CUSTOMERS, seed: int = SEED) -> list[DemoFile]:
    """The first delivery: billing events, usage (every hundredth request twice) and incidents."""
    everybody = customers(count, seed)
    requests = _usage(_requests, everybody, seed + 1)
    prompt, _ = _split(requests)
    files = {
        "billing.ndjson": ndjson(billing_events(everybody)),
        "requests.ndjson.gz": gzipped(ndjson(prompt + prompt[::100])),
        "storage.csv": csv_table(_usage(_samples, everybody, seed + 2)),
        "payments.csv.gz": gzipped(csv_table(_usage(_payments, everybody, seed + 3))),
        "licences.ndjson": ndjson(_usage(_licences, everybody, seed + 4)),
        "support-incidents.ndjson": ndjson(incidents(prompt, everybody[0].key)),
    }
    return [DemoFile(TENANT, name, content) for name, content in files.items()]


def late_files(count: int = CUSTOMERS, seed: int = SEED) -> list[DemoFile]:
    """The second delivery: requests of past days that arrive late, corrections, and lines sent again."""
    everybody = customers(count, seed)
    prompt, late = _split(_usage(_requests, everybody, seed + 1))
    content = ndjson(late + prompt[:25] + late_corrections(prompt))
    return [DemoFile(TENANT, "requests-late.ndjson.gz", gzipped(content))]


def _split(requests: list[Event]) -> tuple[list[Event], list[Event]]:
    """Requests that come in time, and those of four days of which every third comes late."""
    late_days = {"2024-02-29", "2024-03-10", "2024-03-31", "2024-04-17"}
    late = [found for found in requests if found["time"][:10] in late_days][::3]
    held = {found["id"] for found in late}
    return [found for found in requests if found["id"] not in held], late
