"""Months, the unit in which billing is published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from valueverse.dates import following_month
from valueverse.errors import RefusalError


@dataclass(frozen=True)
class Month:
    """A calendar month; ``key`` is how ``billing.release`` and ``billing.reconciliation`` name it."""

    first: date

    @property
    def key(self) -> str:
        """``2023-11``."""
        return f"{self.first:%Y-%m}"

    @property
    def after(self) -> date:
        """First day of the month after."""
        return following_month(self.first)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read ``2023-11`` or a monthly partition's key, ``2023-11-01``.

        Raises:
            RefusalError: ``bad_period`` for anything else.
        """
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])(-01)?", text) or text.startswith("0000"):
            raise RefusalError("bad_period", f"'{text}' is not a month; write it as '2023-11'", "period")
        return cls(date.fromisoformat(f"{text[:7]}-01"))
