"""Importing the platform runs no query: its threads would be missing in processes that are forked afterwards."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import pipelines.catch_up, pathlib
names = [(task / "comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()]
print([name for name in names if name.startswith("polars-") and name[7:].isdigit()])
"""


def test_no_thread_of_polars_is_started_by_imports() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
