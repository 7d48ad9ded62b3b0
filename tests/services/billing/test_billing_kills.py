"""A billing run that is killed, or runs beside another, leaves no gap, no double and no half."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.forking import Forks
from tests.support.warehouse_billing import INVOICES, acme, rows, run, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
SCRIPT = """
import os, signal
from datetime import UTC, date, datetime
from valueverse.services.usage import usage_accounting as account
from valueverse.services.billing import run_billing as step
from valueverse.platform.lake import Lake
from valueverse.platform.settings import get_settings

def main(moment):
    store = step.store if hasattr(step.store, moment) else account.store
    original = getattr(store, moment, None)
    def die(*args, **kwargs):
        original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    if original is not None:
        setattr(store, moment, die)
    settings = get_settings()
    step.bill(settings, Lake(settings.lake_url), date(2023, 11, 1), date(2024, 1, 1),
              as_of=datetime(2024, 6, 1, tzinfo=UTC), run_id="child")
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks(SCRIPT)
    yield found
    found.close()


@pytest.mark.parametrize(
    "moment", ["lock_tenants", "drop_drafts", "insert_invoices", "advance_sequences", "replace_days", "mark"]
)
def test_a_run_killed_at_any_point_leaves_no_gap_no_double_and_no_half(
    forks: Forks, settings: Settings, moment: str
) -> None:
    store(acme(), settings)
    assert forks.wait(forks.start(moment, env=settings.environment())) == -signal.SIGKILL
    assert rows(settings, "select count(*) from billing.invoice") == [(0,)]
    run(acme(), settings)
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))


def test_two_runs_at_once_take_turns(forks: Forks, settings: Settings) -> None:
    store(acme(), settings)
    both = [forks.start("nothing", env=settings.environment()) for _ in range(2)]
    assert [forks.wait(one) for one in both] == [0, 0]
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))
