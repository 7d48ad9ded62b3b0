"""An invoice's lines down to their events, and an event up to its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.ledger import instant
from tests.support.warehouse_billing import (
    acme,
    run,
)
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain import explain_event, explain_invoice

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_an_invoice_explains_itself_down_to_its_events_and_an_event_up_to_its_line(settings: Settings) -> None:
    world = acme(2)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    world.use("2023-11-20", "tokens", "1", customer="nobody")
    run(world, settings)
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        explained = explain_invoice(connection, lake, "acme-000001", "usage", 5)
        (line,) = explained["lines"]
        assert (line["reproduced"], line["event_count"], [one["id"] for one in line["events"]]) == (True, 1, ["u0"])
        (first,) = explain_event(connection, lake, "test", "u0", None)
        assert [one["invoice"] for one in first["lines"]] == ["acme-000001", "acme-000003"]
        (late,) = explain_event(connection, lake, "test", "u2", "acme")
        assert [(one["invoice"], one["kind"]) for one in late["lines"]] == [("acme-000003", "adjustment")]
        (stray,) = explain_event(connection, lake, "test", "u3", None)
        assert (stray["outcome"], stray["reason"]) == ("unbilled", "no_subscription")
        for ask, code in (
            (lambda: explain_invoice(connection, lake, "acme-000099", None, 5), "unknown_invoice"),
            (lambda: explain_invoice(connection, lake, "acme-000001", "nosuch", 5), "unknown_line"),
            (lambda: explain_event(connection, lake, "test", "nosuch", None), "unknown_event"),
        ):
            with pytest.raises(RefusalError) as refused:
                ask()
            assert refused.value.code == code
