"""Several tenants' worlds billed run by run, alone or all in one call, and what comes of it as text."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import rfc8785

from tests.support.ledger import instant
from valueverse.catalog.history import CatalogHistory
from valueverse.invoicing.assemble import documents
from valueverse.invoicing.books import Books
from valueverse.invoicing.closing import INVOICE
from valueverse.subscriptions.timeline import build_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.support.ledger import World
    from valueverse.invoicing.engine import Billed

Run = tuple[str, str, str]
"""First and last date of the window, and the run's present."""


def months(first: str, count: int) -> list[Run]:
    """One run per month, three days after each closes."""
    edges = [date.fromisoformat(first)]
    for _ in range(count):
        edges.append((edges[-1] + timedelta(days=32)).replace(day=1))
    return [(str(start), str(end), str(end + timedelta(days=3))) for start, end in pairwise(edges)]


def bill_runs(worlds: Sequence[World], runs: Sequence[Run], *, shuffle: int | None = None) -> list[Billed]:
    """What each run finalises over the facts and usage of all these worlds; ``shuffle``: with their rows in the random
    order of this seed."""
    facts = pl.concat([world.facts_frame() for world in worlds])
    usage = pl.concat([world.usage_frame() for world in worlds])
    if shuffle is not None:
        facts = facts.sample(fraction=1, shuffle=True, seed=shuffle)
        usage = usage.sample(fraction=1, shuffle=True, seed=shuffle + 1)
    books, found = Books(), []
    history = CatalogHistory.from_facts(facts)
    for first, last, at in runs:
        moment = instant(at)
        known = {world.tenant: _known(world, moment) for world in worlds}
        timeline = build_timeline(facts, history.plans, None, holds=False)
        window = (date.fromisoformat(first), date.fromisoformat(last))
        found.append(books.run(timeline, history, usage.lazy(), facts, window, known_at=known, as_of=moment))
    return found


def _known(world: World, moment: datetime) -> datetime:
    rows = [*world.facts, *world.usage]
    seen = [row[name] for row in rows for name in ("received_at", "known_until") if row.get(name) is not None]
    return max(one for one in seen if one <= moment)


def as_texts(billed: Sequence[Billed], tenant: str) -> list[str]:
    """Everything that runs said of one tenant: documents byte for byte, lines, what coupons and credits are of, what
    was held and what refused."""
    found = []
    for number, run in enumerate(billed):
        mine = pl.col("tenant") == tenant
        invoices = run.invoices.filter(mine).sort(INVOICE)
        lines = run.lines.filter(mine)
        found += [f"{number} {rfc8785.dumps(one).decode()}" for one in documents(invoices, lines)]
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
