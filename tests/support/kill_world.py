"""A small installation with servers of its own, what is delivered to it, and what two of them are compared by."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import commits
from tests.support.forks import Forked
from tests.support.inbox import receive
from tests.support.kill_child import POINT
from tests.support.value_models import saved_model
from valueverse.invoicing.rendering.document_hash import chain_hash
from valueverse.platform.servers import supervisor
from valueverse.platform.servers.processes import wait_until
from valueverse.platform.settings import Settings
from valueverse.platform.warehouse import connect, create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
TENANTS = ("acme", "birch")
CUSTOMERS = range(2)
_FOLDERS = ("lake", "landing", "index")
DAYS = ("2023-12-05", "2023-12-06")
MODEL = saved_model()


def catalog(unit: str) -> dict[str, Any]:
    """A fee in advance, usage at ``unit`` a token, and a share of what was saved."""
    outcome = {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": "0.2"}
    plan = {
        "key": "pro",
        "period": {"unit": "month", "align": "calendar"},
        "fees": [{"key": "platform", "amount": "25", "timing": "in_advance"}],
        "charges": [
            {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": unit}},
            {"key": "value", "price": outcome},
        ],
    }
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    return {"schema": "valueverse.catalog/v1", "currency": "USD", "meters": [meter], "plans": [plan]}


def deliveries() -> list[list[dict[str, Any]]]:
    """What each tenant sends, delivery by delivery; both send the same keys, sources and ids.

    One month of a subscription, and what comes late for it: its invoices are corrected.
    """
    first = [
        _event("tenant", "billing.tenant.created", "2023-11-01", {"currency": "USD"}),
        _event("catalog", "billing.catalog.published", "2023-11-01", catalog("0.01")),
    ]
    late = []
    for one in CUSTOMERS:
        subscription = {"subscription": f"s{one}", "customer": f"c{one}", "plan": "pro"}
        first.append(_event(f"customer{one}", "billing.customer.created", "2023-11-01", {"customer": f"c{one}"}))
        first.append(_event(f"start{one}", "billing.subscription.started", "2023-12-01", subscription))
        first.append(_event(f"end{one}", "billing.subscription.ended", "2024-01-01", {"subscription": f"s{one}"}))
        first += [_used(f"u{one}{day}", day, one, 100 + one) for day in DAYS]
        late.append(_used(f"late{one}", "2023-12-20", one, 7))
    once = {"customer": "c1", "amount": "9.99", "currency": "USD", "description": "setup"}
    late.append(_event("once", "billing.one_off.added", "2023-12-15", once))
    paid = {"amount": "5.00", "currency": "USD", "period": {"from": "2023-12-01", "to": "2024-01-01"}}
    late.append(_event("cost", "billing.cost.recorded", "2023-12-31", paid))
    return [first, late]


def _event(identity: str, kind: str, day: str, data: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    head = {"specversion": "1.0", "id": identity, "source": "office", "type": kind, "time": f"{day}T00:00:00Z"}
    return head | {"data": dict(data)} | more


def _used(identity: str, day: str, customer: int, amount: int) -> dict[str, Any]:
    return _event(identity, "used", day, {"n": amount}, subject=f"c{customer}")


class Installation:
    """Servers, landing folder, lake and warehouse below one folder, and the process that its commands are forked from.

    ``keep`` and ``restore`` copy all that a run changes, so that many runs begin from the same state.
    """

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder / "home", postgres_port=0)
        self.saved = folder / "saved"
        self.forks = folder / "forks.sock"
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        argv, log = [sys.executable, "-W", "ignore", "-m", "tests.support.forks", str(self.forks)], folder / "forks.log"
        with log.open("w") as errors:
            self._server = subprocess.Popen(argv, cwd=ROOT, stderr=errors, start_new_session=True)

    def up(self) -> None:
        """Start what does not run, as ``valueverse up`` does."""
        for _ in supervisor.up(self.settings, ("postgres", "valkey")):
            pass

    def down(self) -> None:
        """Stop the servers and the process of forks."""
        list(supervisor.down(self.settings))
        self._server.kill()
        self._server.wait()

    def keep(self, name: str) -> None:
        """Copy databases, lake, landing folder and index."""
        for database in self._databases():
            drop_database(self.settings, f"{database}_{name}")
            create_database(self.settings, f"{database}_{name}", template=database)
        for folder in _FOLDERS:
            _copy(self.settings.home / folder, self.saved / name / folder)

    def restore(self, name: str) -> None:
        """Bring back what ``keep`` copied; sessions on the databases end."""
        for database in self._databases():
            drop_database(self.settings, database)
            create_database(self.settings, database, template=f"{database}_{name}")
        # A copied sequence is not logged ahead: killed before a checkpoint, the server would give its values twice.
        with connect(self.settings, "admin", database="postgres", autocommit=True) as connection:
            connection.execute("checkpoint")
        for folder in _FOLDERS:
            _copy(self.saved / name / folder, self.settings.home / folder)

    def _databases(self) -> tuple[str, str]:
        return self.settings.database, self.settings.dagster_database

    def fork(self, kind: str, argv: Sequence[str] = (), point: str = "", output: int | None = None) -> Forked:
        """Begin a process (``tests.support.kill_child``); a log takes what ``output`` does not."""
        if not wait_until(self.forks.exists, lambda: self._server.poll() is None, 600):
            raise AssertionError((self.forks.parent / "forks.log").read_text()[-2000:])
        env = {**os.environ, **self.settings.environment(), **({POINT: point} if point else {}), "DO_NOT_TRACK": "1"}
        self._count += 1
        log = self.forks.parent / f"{self._count:04}-{kind}.log"
        with log.open("w") as errors:
            output_file = errors.fileno() if output is None else output
            return Forked(self.forks, kind, argv, env, output_file, log)

    def deliver(self, name: str, events: list[dict[str, Any]]) -> None:
        """One file for the first tenant, one request over HTTP for the other, with one line that nobody can read."""
        for tenant in TENANTS:
            named = [one | {"tenant": tenant} for one in events]
            for one in named:
                if one["type"] == "billing.tenant.created":
                    one["data"] = one["data"] | {"tenant": tenant, "name": tenant}
            if tenant != TENANTS[0]:
                receive(self.settings, tenant, *named, "{")
                continue
            path = self.settings.landing / tenant / f"{name}.ndjson"
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".part")
            draft.write_text("\n".join([*map(json.dumps, named), "{"]), encoding="utf-8")
            draft.rename(path)

    def agree(self) -> None:
        """Commit the value model for one customer of each tenant, approved by both sides."""
        options = {"scenario": "agreed", "seed": 1, "author": "ann", "parent": None, "reason": None}
        options |= {"customer": "c0", "start": "2023-12-01"}
        for tenant in TENANTS:
            commit = str(commits.commit(self.settings, tenant, json.dumps(MODEL), options, None)["commit"])
            commits.approve(self.settings, tenant, commit, "vendor", "vera")
            commits.approve(self.settings, tenant, commit, "customer", "carl")

    def state(self) -> dict[str, list[Any]]:
        """Everything that was booked, counted or shown, without the instants at which that was done."""
        with connect(self.settings, "builder") as connection:
            found = {name: [list(row) for row in connection.execute(query)] for name, query in _BOOKED.items()}
            marts = connection.execute(_MART_COLUMNS).fetchall()
            for mart, columns in marts:
                query = f"select {columns} from marts.{mart}"
                found[f"mart {mart}"] = sorted([*map(_undrained, row)] for row in connection.execute(query))
            found["chain"] = _broken_chain(connection.execute(_CHAIN).fetchall())
        found["documents"] = [_timeless(json.loads(row[0])) for row in found.pop("documents")]
        return found


def _undrained(value: object) -> str:
    """A value as text without the number of a drain: a killed claim has used up one."""
    return re.sub(r"/inbox/\d+", "/inbox/", str(value))


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


def _timeless(document: dict[str, Any]) -> dict[str, Any]:
    """What an ingestion that came later leaves as it is: the hash before a document is judged with the chain."""
    basis = {name: one for name, one in document["basis"].items() if name != "events_known_at"}
    hashes = {"content_hash", "chain_hash", "previous_hash"}
    saved = {name: one for name, one in document.items() if name not in hashes | {"basis"}}
    return saved | {"basis": basis}


def _broken_chain(rows: list[Any]) -> list[Any]:
    """Numbers whose chain hash does not follow from the one before; empty for a whole chain."""
    before: dict[str, str | None] = {}
    broken = []
    for tenant, number, content, chained in rows:
        if chain_hash(content, number, before.get(tenant)) != chained:
            broken.append([tenant, number])
        before[tenant] = chained
    return broken


_CHAIN = """
select tenant_id, number, content_hash, chain_hash from billing.invoice where number is not null
order by tenant_id, sequence"""

_MART_COLUMNS = """
select c.table_name, string_agg(quote_ident(c.column_name), ', ' order by c.ordinal_position)
from information_schema.columns c
where c.table_schema = 'marts' and c.table_name !~ '__(p|[0-9a-f]{8}_p)[0-9]{2}$'
    and c.data_type not in ('timestamp with time zone', 'uuid') and c.column_name !~ '(_hash|run_id)$'
group by c.table_name order by c.table_name"""

_BOOKED = {
    "numbers": "select tenant_id, number, status, total_minor from billing.invoice order by 1, 2 nulls last, 4",
    "documents": "select document from billing.invoice order by tenant_id, sequence nulls last, customer, subscription",
    "lines": """
        select i.tenant_id, i.number, i.customer, l.line_no, l.key, l.kind, l.quantity::text, l.amount_precise::text,
               l.amount_minor, l.event_count
        from billing.invoice_line l join billing.invoice i using (tenant_id, invoice_id) order by 1, 2, 3, 4""",
    "journal": """
        select e.tenant_id, e.kind, e.reference, e.date::text, e.revision, p.position, p.account, p.customer, p.invoice,
               p.amount_minor, p.currency
        from billing.journal_entry e join billing.journal_posting p using (tenant_id, entry_id)
        order by 1, 2, 3, 4, 5, 6""",
    "coverage": "select tenant_id, day::text, accepted, billed, unbilled from billing.event_day order by 1, 2",
    "unbilled": "select tenant_id, reason, sum(events)::int from billing.unbilled_usage group by 1, 2 order by 1, 2",
    "files": """
        select tenant_id, regexp_replace(file, '/inbox/[0-9]+', '/inbox/'), received, accepted, duplicate, quarantined
          from billing.ingestion_file order by 1, 2, 3, 4""",
    "releases": "select tenant_id, period, status, reason from billing.release order by 1, 2",
    "proposals": "select tenant_id, proposal, trim_scale(amount)::text from value.proposal order by 1, 2",
}
