"""What is wrong with an installation's business, each finding with its place and a command that is its cure."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.platform.servers.diagnosis import Finding
from valueverse.platform.stores import held_store
from valueverse.platform.stores.held_invoice_store import held_invoice_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings
    from valueverse.services.operations.installation_status import InstallationStatus

CATCH_UP = "`python -m pipelines.catch_up`"
DAEMON = "dagster-daemon"
_UNPRICED = (
    "correct the price, override or usage that the line reads by another event; the next billing run bills it "
    "(docs/runbooks/checks.md#every_period_is_billed)"
)
_REMADE = "then `valueverse status` lists it no more (docs/runbooks/alerts.md#topicproblem)"
_LISTS = "status` lists it no more"
_SHOWN = 10


def business_findings(settings: Settings, status: InstallationStatus) -> Iterator[Finding]:
    """Failed runs, held tenants, work that waits for a daemon, refused lines and events, files that are not taken."""
    for sentence in status.unknown:
        yield Finding("note", sentence, str(status.home))
    yield from _failed(settings, status)
    yield from _held(settings, status)
    yield from _waiting(status)
    for one in status.topic:
        if one["problem"]:
            yield Finding("wrong", topic_sentence(one), settings.kafka_topic, _REMADE)
    for one in status.business.undone:
        again = f"valueverse privacy erase --tenant {quote(one['tenant'])} --customer {quote(one['customer'])}"
        what = f"the erasure of customer {one['customer']!r} of tenant {one['tenant']} has come undone"
        yield Finding("wrong", what, str(settings.audit_dir), f"`{again}` (docs/runbooks/restore.md)")
    yield from _refused(status)
    yield from _ignored(settings, status)


def _failed(settings: Settings, status: InstallationStatus) -> Iterator[Finding]:
    overview = status.business.overview
    failed = overview.failed if overview else []
    for one in failed:
        yield Finding("wrong", one["sentence"], settings.dagster_database, overview.cure if overview else "")
    if not failed and not status.unknown:
        yield Finding("ok", "no partition failed without being repaired", settings.dagster_database)


def _held(settings: Settings, status: InstallationStatus) -> Iterator[Finding]:
    for one in status.business.held:
        yield Finding("wrong", held_store.row_sentence(one), held_store.since(one), held_store.CURE)
    for row in status.business.held_months[:_SHOWN]:
        where = f"billing.release of {settings.database_name}"
        yield Finding("wrong", held_store.month_sentence(row), where, held_store.MONTH_CURE)
    for row in status.business.held_invoices[:_SHOWN]:
        yield Finding("wrong", held_invoice_sentence(row), settings.database_name, _UNPRICED)
    if not (status.business.holds or status.unknown):
        yield Finding("ok", "no tenant, no month and no invoice is held", settings.database_name)


def _waiting(status: InstallationStatus) -> Iterator[Finding]:
    """Work that nothing asks for: the daemon does, while it runs."""
    if any(one.name == DAEMON and one.state == "running" for one in status.servers):
        return
    cure = f"`valueverse up --only dagster,{DAEMON}` starts what runs it, or {CATCH_UP} runs it once"
    if status.untaken:
        what = f"{_count(status.untaken, 'landing file')} not taken yet, and {DAEMON} does not run"
        yield Finding("note", what, _some(status.untaken), cure)
    for one in status.business.inbox:
        yield Finding("note", f"{inbox_sentence(one)}, and {DAEMON} does not run", f"tenant {one['tenant']}", cure)
    for part in status.topic:
        place = f"partition {part['partition']}"
        yield Finding("note", f"{topic_sentence(part)}, and {DAEMON} does not run", place, cure)
    for stage in status.stages():
        if stage["waiting"]:
            what = f"{_count(stage['waiting'], 'range')} of partitions of {stage['stage']} out of date"
            yield Finding("note", f"{what}, and {DAEMON} does not run", _some(stage["waiting"]), cure)


def _refused(status: InstallationStatus) -> Iterator[Finding]:
    for one in status.business.quarantined[:_SHOWN]:
        chosen = f"tenant = '{one['tenant']}' and reason = '{one['reason']}'"
        query = f"select * from quarantine where {chosen} limit 20"  # noqa: S608 - shown, not run
        cure = f"`valueverse sql -c {quote(query)}` lists the lines: deliver them corrected"
        yield Finding("note", quarantine_sentence(one), one["newest_file"], cure)
    for one in status.business.rejected[:_SHOWN]:
        event = f"{quote(one['source'])} {quote(one['event_id'])} --tenant {one['tenant']}"
        cure = f"`valueverse explain event {event}` shows it: replace or void it by another event (docs/events.md)"
        yield Finding("note", rejection_sentence(one), f"event {one['event_id']} of {one['source']}", cure)


def _ignored(settings: Settings, status: InstallationStatus) -> Iterator[Finding]:
    for one in status.ignored[:_SHOWN]:
        path = settings.landing / one["name"]
        is_file = path.is_file() and not path.is_symlink() and path.stat().st_size > 0
        command = f"events check {quote(str(path))}` says what ingestion would take" if is_file else _LISTS
        cure = f"then `valueverse {command}"
        yield Finding("wrong", f"not taken: {one['name']}: {one['reason']}", str(settings.landing), cure)
    if len(status.ignored) > _SHOWN:
        more = f"{len(status.ignored) - _SHOWN} more files are not taken"
        yield Finding("wrong", more, str(settings.landing), "`valueverse status --json` lists all")


def topic_sentence(one: dict[str, Any]) -> str:
    """``partition 3 of the topic: 12 messages wait from offset 40 on``, and what is wrong with it."""
    waits = "waits" if one["waiting"] == 1 else "wait"
    what = f"{_number(one['waiting'], 'message')} {waits} from offset {one['next_offset']} on"
    return f"partition {one['partition']} of the topic: {one['problem'] or what}"


def inbox_sentence(one: dict[str, Any]) -> str:
    """``tenant acme: 12 events of 2 requests wait in the inbox, the oldest since 2024-03-01T09:30:00Z``."""
    what = f"{_number(one['events'], 'event')} of {_number(one['requests'], 'request')}"
    waits = "waits" if one["events"] == 1 else "wait"
    return f"tenant {one['tenant']}: {what} {waits} in the inbox, the oldest since {utc_text(one['oldest'])}"


def quarantine_sentence(one: dict[str, Any]) -> str:
    """``tenant acme: 12 lines of 2 files quarantined: bad_time, the newest on 2024-03-01``."""
    newest = f"the newest on {one['newest_day']}"
    lines, files = _number(one["lines"], "line"), _number(one["files"], "file")
    return f"tenant {one['tenant']}: {lines} of {files} quarantined: {one['reason']}, {newest}"


def rejection_sentence(one: dict[str, Any]) -> str:
    """``tenant acme: 1 billing event rejected: unknown_plan, e.g. ...``."""
    events = _number(one["events"], "billing event")
    return f"tenant {one['tenant']}: {events} rejected: {one['reason']}, e.g. {one['message']}"


def _count(names: list[str], what: str) -> str:
    return f"{_number(len(names), what)} {'is' if len(names) == 1 else 'are'}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _some(names: list[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
