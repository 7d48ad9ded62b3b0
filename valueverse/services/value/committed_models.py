"""Committed models as a run finds them: what was agreed, until when it holds, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from valueverse.dates import following_month, month_number
from valueverse.value.realisation import Agreed, Commitment, months_to_measure, start_of_day, takeover_months

if TYPE_CHECKING:
    from datetime import date, datetime

    import polars as pl


@dataclass(frozen=True)
class CommittedModel:
    """A commit to be measured.

    Attributes:
        tenant: whose.
        commitment: the commit.
        until: first day of the month with which an agreed successor takes over; None: nobody does.
        measured: first days of the months that a run measures it for, oldest first.
        newest: the last month that an earlier run measured; None: none did.
    """

    tenant: str
    commitment: Commitment
    until: date | None
    measured: tuple[date, ...] = ()
    newest: date | None = None

    def measured_until(self, last: date, newest: date | None, zone: str, as_of: datetime) -> CommittedModel:
        """The commit with the months that a run measures it for.

        Args:
            last: first day of the run's last month.
            newest: the last month that an earlier run measured; None: none did.
            zone: the tenant's time zone.
            as_of: the run's present: a month that closes later is left alone.
        """
        start = self.commitment.start
        if start is None:
            return self
        months = months_to_measure(start, last, newest, self.until)
        over = [month for month in months if start_of_day(following_month(month), zone) <= as_of]
        return replace(self, measured=tuple(over), newest=newest)

    def months(self) -> int | None:
        """Months from the commit's start to its successor."""
        start = self.commitment.start
        if self.until is None or start is None:
            return None
        return month_number(self.until) - month_number(start)


def committed_models(rows: pl.DataFrame) -> list[CommittedModel]:
    """Commits that are not closed, each up to where its successor begins, oldest first."""
    found = []
    for (tenant,), mine in rows.partition_by("tenant", as_dict=True, maintain_order=True).items():
        agreed = [
            Agreed(Commitment.read(row["commit_id"], row["document"]), row["parent"], row["closed"])
            for row in mine.iter_rows(named=True)
        ]
        ends = takeover_months(agreed)
        found += [
            CommittedModel(str(tenant), one.commitment, ends.get(one.commitment.commit))
            for one in agreed
            if not one.closed
        ]
    return found
