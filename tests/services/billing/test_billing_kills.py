"""A billing run that is killed, or runs beside another, leaves no gap, no double and no half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.warehouse_billing import INVOICES, acme, rows, run, store

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
SCRIPT = """
import os, signal, sys
from datetime import UTC, date, datetime
from valueverse.services.usage import usage_accounting as account
from valueverse.services.billing import run_billing as step
from valueverse.platform.lake import Lake
from valueverse.platform.settings import get_settings
moment = sys.argv[1]
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


def child(settings: Settings, moment: str) -> subprocess.Popen[bytes]:
    environment = os.environ | settings.environment()
    return subprocess.Popen([sys.executable, "-c", SCRIPT, moment], cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    "moment", ["lock_tenants", "drop_drafts", "insert_invoices", "advance_sequences", "replace_days", "mark"]
)
def test_a_run_killed_at_any_point_leaves_no_gap_no_double_and_no_half(settings: Settings, moment: str) -> None:
    store(acme(), settings)
    assert child(settings, moment).wait(120) == -signal.SIGKILL
    assert rows(settings, "select count(*) from billing.invoice") == [(0,)]
    run(acme(), settings)
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))


def test_two_runs_at_once_take_turns(settings: Settings) -> None:
    store(acme(), settings)
    both = [child(settings, "nothing"), child(settings, "nothing")]
    assert [one.wait(120) for one in both] == [0, 0]
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))
