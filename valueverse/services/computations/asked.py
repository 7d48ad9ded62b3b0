"""What a simulation or re-rating is asked for: judged when it is asked, stored as JSON, read when it is worked out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from valueverse.catalog import parse_catalog
from valueverse.dates import utc_text
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.catalog import Catalog


@dataclass(frozen=True)
class AskedSimulation:
    """As the options of ``valueverse simulate --lake`` with the same names; catalogs are their texts."""

    catalog: str
    compare: str | None = None
    start: date | None = None
    end: date | None = None
    known_at: datetime | None = None
    run_at: Sequence[datetime] = ()

    @property
    def steps(self) -> int:
        """Of its progress: reading, then billing under each catalog."""
        return 2 if self.compare is None else 3

    def text(self) -> str:
        """As it is stored.

        Raises:
            RefusalError: with a place below ``body``: a catalog has problems, or values contradict each other.
        """
        for name in ("catalog", "compare"):
            if (text := getattr(self, name)) is not None:
                catalog_of(text, name)
        _in_order(self.start, self.end)
        if self.known_at is not None and self.run_at:
            message = "known_at is one state of knowledge, run_at several: state one of them"
            raise RefusalError("contradiction", message, "body.run_at")
        return json.dumps(
            {
                "catalog": self.catalog,
                "compare": self.compare,
                "from": self.start and self.start.isoformat(),
                "to": self.end and self.end.isoformat(),
                "known_at": self.known_at and utc_text(self.known_at),
                "run_at": [utc_text(one) for one in self.run_at],
            },
            ensure_ascii=False,
        )

    @classmethod
    def of(cls, text: str) -> AskedSimulation:
        """What was stored."""
        stated = json.loads(text)
        known_at = stated["known_at"]
        return cls(
            stated["catalog"],
            stated["compare"],
            _day(stated["from"]),
            _day(stated["to"]),
            known_at and datetime.fromisoformat(known_at),
            tuple(datetime.fromisoformat(one) for one in stated["run_at"]),
        )


@dataclass(frozen=True)
class AskedRerating:
    """As the options of ``valueverse rerate plan`` with the same names; the catalog is its text."""

    start: date
    end: date
    customers: Sequence[str] = ()
    catalog: str | None = None
    steps = 1

    def text(self) -> str:
        """As it is stored.

        Raises:
            RefusalError: as for a simulation.
        """
        if self.catalog is not None:
            catalog_of(self.catalog, "catalog")
        _in_order(self.start, self.end)
        stated = {"from": self.start.isoformat(), "to": self.end.isoformat(), "customers": sorted(self.customers)}
        return json.dumps(stated | {"catalog": self.catalog}, ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> AskedRerating:
        """What was stored."""
        stated: dict[str, Any] = json.loads(text)
        start, end = date.fromisoformat(stated["from"]), date.fromisoformat(stated["to"])
        return cls(start, end, tuple(stated["customers"]), stated["catalog"])


def catalog_of(text: str, name: str) -> Catalog:
    """The catalog of a text that stands in a field of the body.

    Raises:
        RefusalError: with places below ``body``.
    """
    try:
        return parse_catalog(text)
    except RefusalError as refusal:
        raise refusal.below(f"body.{name}") from refusal


def _in_order(start: date | None, end: date | None) -> None:
    if start is not None and end is not None and start > end:
        raise RefusalError("bad_window", f"from {start} lies after to {end}", "body.from")


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
