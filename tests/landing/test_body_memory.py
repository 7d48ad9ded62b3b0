"""What is made of a body takes a bounded multiple of its bytes, however it is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import body_peak

if TYPE_CHECKING:
    from pathlib import Path

MOST_TIMES = 20
"""So many times the bytes of the expanded body, which docs/api.md states."""


@pytest.mark.security
def test_a_body_takes_at_most_a_stated_multiple_of_its_expanded_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.body_peak", str(tmp_path)]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"POLARS_MAX_THREADS": "1"}
    )
    assert ran.returncode == 0, ran.stderr
    peaks = json.loads(ran.stdout)
    assert peaks.keys() == {*body_peak.bodies(), body_peak.FILE}
    assert {name: taken / size for name, (size, taken, _) in peaks.items() if taken > MOST_TIMES * size} == {}
    assert {code for *_, code in peaks.values()} <= {"", "malformed_body", "too_many_events"}
