"""Which partitions are out of date: those whose mark, or input, is newer than they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.billing import INVOICES
from assets.ingestion import EVENTS, PERIODS
from assets.journal import JOURNAL
from assets.kit import newest, pending
from assets.marts import PUBLISHED
from assets.metering import USAGE
from assets.partitions import contiguous
from assets.quality import RELEASE
from assets.value import REALISATION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import dagster as dg

Range = tuple[str, str]


def pending_days(instance: dg.DagsterInstance) -> dict[str, int]:
    """Event dates whose usage is older than the delivery that touched them."""
    return pending(instance, EVENTS, USAGE)


def pending_months(instance: dg.DagsterInstance) -> dict[str, int]:
    """Months whose invoices are older than the billing events or usage that touched them."""
    return pending(instance, PERIODS, INVOICES)


def ranges(partitions: Mapping[str, int], *, monthly: bool = False) -> list[tuple[Range, str]]:
    """One gapless range per run, each with a key of its work that names the newest mark in the range.

    The same marks are the same work (``pipelines.attempts``): a run that fails is not asked for on every tick, and a
    new delivery asks at once.
    """
    found = []
    for first, last in contiguous(partitions.keys(), monthly=monthly):
        newest_mark = max(mark for partition, mark in partitions.items() if first <= partition <= last)
        found.append(((first, last), f"{first}:{last}:{newest_mark}"))
    return found


def pending_values(instance: dg.DagsterInstance) -> dict[str, int]:
    """Months whose value was measured before their latest invoices."""
    return pending(instance, INVOICES, REALISATION)


def pending_releases(instance: dg.DagsterInstance) -> dict[str, int]:
    """Months whose release was decided before their latest invoices."""
    return pending(instance, INVOICES, RELEASE)


def pending_journal(instance: dg.DagsterInstance) -> int:
    """Storage id of the newest invoices if the journal was booked before them, as after a kill in between; else 0."""
    billed = max(newest(instance, INVOICES).values(), default=0)
    booked = instance.fetch_materializations(JOURNAL, limit=1).records
    return billed if billed > (booked[0].storage_id if booked else 0) else 0


def pending_marts(instance: dg.DagsterInstance, missing: Collection[str] = ()) -> dict[str, int]:
    """Months that were released, or held, after they were last published whole.

    Args:
        instance: Dagster's.
        missing: relations of the dbt project that the warehouse lacks: then every month that was ever decided.
    """
    return dict(newest(instance, RELEASE)) if missing else pending(instance, RELEASE, PUBLISHED)
