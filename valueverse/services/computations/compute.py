"""One attempt at a simulation or re-rating, a process of its own: ``valueverse.services.computations.compute``.

The process ends with the one that started it: it reads its input, which nobody writes, to its end. What it refuses, it
writes to its output as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import redirect_stderr
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.settings import get_settings
from valueverse.platform.stores import computation_store as store
from valueverse.platform.telemetry import tracing
from valueverse.platform.warehouse import connect
from valueverse.services.billing import rerate
from valueverse.services.computations.asked import AskedRerating, AskedSimulation, catalog_of
from valueverse.services.price_changes.rerate_review import request_of
from valueverse.services.simulation.simulate import SimulationRequest, difference, recorded_log, simulated, window_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.platform.settings import Settings

    Begins = Callable[[str, int], None]

MOST_BYTES = 8 * 2**20
"""Of a result."""
_MOST_NOTES = 100
REFUSED = 3
"""Exit code of a refusal."""


def compute(settings: Settings, tenant: str, computation: str) -> bool:
    """Work out a simulation, or the plan of a re-rating, and store what it comes to.

    False: it is over, or another attempt has begun meanwhile: nothing is stored then.

    Raises:
        RefusalError: as ``valueverse simulate`` and ``valueverse rerate plan``; ``too_large``.
    """
    with connect(settings, "builder", autocommit=True) as connection:
        row = store.begin(connection, tenant, computation, applies=False)
        if row is None:
            return False

        def begins(step: str, done: int) -> None:
            store.progress(connection, tenant, computation, row["attempt"], step, done)

        work = _simulated if row["kind"] == "simulation" else _planned
        result = json.dumps(work(settings, tenant, row["request"], begins), ensure_ascii=False, separators=(",", ":"))
        if len(result.encode()) > MOST_BYTES:
            raise RefusalError(
                "too_large",
                f"the result has more than {MOST_BYTES // 2**20} MiB: ask for a shorter time, or for fewer customers",
                "body.from",
            )
        return store.end(connection, tenant, computation, "done", attempt=row["attempt"], result=result)


def apply(settings: Settings, tenant: str, computation: str) -> bool:
    """Apply a plan that is to be applied, in one transaction with the note that it is; False: as of ``compute``.

    Raises:
        RefusalError: as ``valueverse rerate apply``, but for ``plan_changed``, which becomes the plan's state.
    """
    with connect(settings, "builder") as connection:
        row = store.begin(connection, tenant, computation, applies=True)
        connection.commit()
        if row is None:
            return False
        asked, shown = AskedRerating.of(row["request"]), json.loads(row["result"])["plan"]
        catalog = None if asked.catalog is None else catalog_of(asked.catalog, "catalog")
        state, problem, invoices = "applied", None, None
        try:
            with connection.transaction():
                invoices = rerate.apply_plan(
                    connection, Lake(settings.lake_url), shown, request_of(shown, catalog), datetime.now(UTC)
                )
        except RefusalError as refusal:
            if refusal.code not in {"plan_changed", "no_invoices"}:
                raise
            state, problem = "stale", (refusal.code, refusal.message, "")
        ended = store.end(
            connection, tenant, computation, state, attempt=row["attempt"], problem=problem, invoices=invoices
        )
        if not ended:
            connection.rollback()
        return ended


def _simulated(settings: Settings, tenant: str, text: str, begins: Begins) -> dict[str, Any]:
    """``invoices``, or with a second catalog ``changes``: the rows of ``valueverse simulate --lake``; the dates, and
    the ``notes`` that the command writes beside its answer."""
    asked, notes = AskedSimulation.of(text), StringIO()
    catalog = catalog_of(asked.catalog, "catalog")
    with redirect_stderr(notes):
        begins("reading events", 0)
        log, tally = recorded_log(Lake(settings.lake_url), [tenant])
        window = window_of(log, asked.start, asked.end)
        request = SimulationRequest(window.bounds, asked.known_at, tuple(asked.run_at), whole=True)
        begins("billing", 1)
        if asked.compare is None:
            found = {"invoices": [one.document for one in simulated(log, catalog, request, tally)]}
        else:
            other = catalog_of(asked.compare, "compare")
            rows = difference(
                log, catalog, other, request, tally, lambda: begins("billing under the catalog to compare with", 2)
            )
            found = {"changes": rows}
    lines = notes.getvalue().splitlines()
    dates = {"from": window.first.isoformat(), "to": window.last.isoformat()}
    return dates | found | {"notes": lines[:_MOST_NOTES]}


def _planned(settings: Settings, tenant: str, text: str, begins: Begins) -> dict[str, Any]:
    """``plan``: the document of ``valueverse rerate plan``."""
    asked = AskedRerating.of(text)
    catalog = None if asked.catalog is None else catalog_of(asked.catalog, "catalog")
    begins("billing", 0)
    request = rerate.RerateRequest((tenant,), asked.start, asked.end, tuple(asked.customers), catalog)
    found, _ = rerate.plan(settings, Lake(settings.lake_url), request, as_of=datetime.now(UTC))
    return {"plan": found}


def _end_with_parent() -> None:
    # Not through sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)


def main(task: str, tenant: str, computation: str, parent: str) -> int:
    """An attempt; its exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = get_settings()
    tracing.begin(settings, "valueverse-worker")
    try:
        with tracing.span(f"compute {task}", "internal", parent or None, {"valueverse.tenant": tenant}):
            (apply if task == "apply_rerating" else compute)(settings, tenant, computation)
    except RefusalError as refusal:
        sys.stdout.write(json.dumps(refusal.as_json()))
        return REFUSED
    finally:
        tracing.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
