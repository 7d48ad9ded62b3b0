"""How often a program looks for objects that refer to each other and are out of reach."""

from __future__ import annotations

import gc

NEW_OBJECTS = 50_000


def collect_rarely() -> None:
    """Let a program look after 50,000 new objects, not after 700 as by default.

    What the imports of Dagster and dbt make stays to the end, and is looked at again and again on the way: a third of
    the processor time of a run's first seconds, a fifth of a command's. Frames are freed by their last reference and
    are not what is looked for. The API keeps the default: what a request leaves behind may hold its whole body.
    """
    gc.set_threshold(NEW_OBJECTS, 20, 20)
