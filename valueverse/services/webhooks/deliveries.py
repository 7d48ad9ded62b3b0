"""What was delivered to a tenant's endpoints, what was given up, and the same once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.stores.functions import call
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings

REPLAYED_AT_ONCE = 1000
"""Deliveries of one request; who has more asks again."""


@dataclass(frozen=True)
class Selection:
    """Which deliveries: those that have all that is stated.

    Attributes:
        endpoint: they go to.
        type: of the notification.
        state: waiting, delivered or dead.
        created_from: the notification was written at this instant or later,
        created_to: and before this one.
    """

    endpoint: str | None = None
    type: str | None = None
    state: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    @property
    def values(self) -> tuple[object, ...]:
        """In the order in which the database's functions take them."""
        return self.endpoint, self.type, self.state, self.created_from, self.created_to


def list_deliveries(settings: Settings, tenant: str, state: str | None, at_most: int) -> list[dict[str, Any]]:
    """A tenant's deliveries, the newest first; those that are ``dead`` were given up."""
    with connect(settings, "api") as connection:
        asked = (tenant, *Selection(state=state).values, None, at_most)
        return call(connection, "webhook_deliveries", *asked)


def replay_deliveries(settings: Settings, tenant: str, selection: Selection) -> int:
    """Deliver all that is selected once more, each with the id that it had; how many there were."""
    replayed = 0
    after: int | None = None
    with connect(settings, "api", autocommit=True) as connection:
        while True:
            asked = (tenant, None, None, *selection.values, after, REPLAYED_AT_ONCE, "system", "")
            (done,) = call(connection, "replay_webhook_deliveries", *asked)
            replayed += int(done["replayed"])
            if done["replayed"] < REPLAYED_AT_ONCE:
                return replayed
            after = done["last_delivery"]


def replay_delivery(settings: Settings, tenant: str, delivery: int) -> dict[str, Any]:
    """Deliver a notification once more, with the id that it had.

    Raises:
        RefusalError: ``unknown_delivery``.
    """
    with connect(settings, "api") as connection:
        asked = (tenant, None, delivery, *Selection().values, None, 1, "system", "")
        (done,) = call(connection, "replay_webhook_deliveries", *asked)
        found = call(connection, "webhook_delivery", tenant, delivery) if done["replayed"] else []
    if not found:
        message = f"no delivery {delivery} to an endpoint that is not disabled; see `valueverse webhooks deliveries`"
        raise RefusalError("unknown_delivery", message, "DELIVERY")
    return {name: found[0][name] for name in ("delivery", "endpoint", "type", "message_id", "state")}
