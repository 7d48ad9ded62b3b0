"""Builds of the marts that go on without the tenants whose rows make a model or a test fail."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect, copy_frames
from valueverse.services.marts.failing_rows import Node, failing_tenants
from valueverse.services.tenant_holds import MARTS, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from valueverse.platform.isolation import Failure
    from valueverse.platform.settings import Settings

_WRONG = {"error", "fail", "runtime error"}
_RETENTION = timedelta(days=7)
"""How long the sets of runs that ended half-way are retained: their dbt may go on."""


@dataclass
class Attempts:
    """Whom a run leaves out: tenants that were held before, and those it has found since.

    Attributes:
        settings: where the warehouse is.
        variables: the dbt project's vars, without ``left_out``.
        run_id: of the Dagster run; with the number of the attempt it names the set of tenants left out.
        before: tenants left out from the start.
        failures: who made a model or a test of this run fail.
    """

    settings: Settings
    variables: dict[str, Any]
    run_id: str
    before: Sequence[str] = ()
    failures: list[Failure] = field(default_factory=list)

    @property
    def left_out(self) -> list[str]:
        """Tenant keys, sorted."""
        return sorted({*self.before, *(failure.tenant for failure in self.failures)})

    def as_vars(self) -> str:
        """The project's vars of the next attempt as JSON; whom it leaves out is written to the warehouse."""
        name = f"{self.run_id}:{len(self.failures)}" if self.left_out else ""
        if name:
            rows = pl.DataFrame({"tenant_id": self.left_out}).select(pl.lit(name).alias("set_name"), "tenant_id")
            with connect(self.settings, "builder") as connection:
                connection.execute("delete from billing.marts_left_out where set_name = %s", [name])
                connection.execute("delete from billing.marts_left_out where left_out_at < now() - %s", [_RETENTION])
                copy_frames(connection, {"billing.marts_left_out": rows})
                connection.commit()
        return json.dumps(self.variables | {"left_out": name})

    def learn(self, target: Path) -> bool:
        """Find the tenants that made the attempt in this target folder fail; True if another attempt leaves out more.

        Raises:
            BaseException: what is no tenant's failure, met while tenants were looked for.
        """
        found: dict[str, Failure] = {}
        known = set(self.left_out)
        with connect(self.settings, "builder") as connection:
            for node in _failed(target):
                for failure in failing_tenants(connection, node, sorted(known), self.variables):
                    found.setdefault(failure.tenant, failure)
        new = [failure for failure in found.values() if failure.tenant not in known]
        self.failures += new
        return bool(new)

    def record(self, at: datetime, *, is_whole: bool, chosen: Sequence[str] | None) -> None:
        """Hold who failed.

        Args:
            at: when it was tried.
            is_whole: for all months: whoever could be built is held no more; some months do not show that.
            chosen: the tenants that were asked for; None: all.
        """
        cleared = chosen if is_whole else [failure.tenant for failure in self.failures]
        with connect(self.settings, "builder") as connection:
            held_store.record(connection, MARTS, [WHOLE], self.failures, tenants=cleared, run_id=self.run_id, at=at)
            connection.commit()


def _failed(target: Path) -> Iterator[Node]:
    """Models and tests of an attempt that did not end well."""
    results, manifest = target / "run_results.json", target / "manifest.json"
    if not (results.is_file() and manifest.is_file()):
        return
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
        node = nodes.get(result["unique_id"])
        if node is not None and result["status"] in _WRONG and result.get("compiled_code"):
            yield Node(node, result["compiled_code"], result.get("message") or "")
