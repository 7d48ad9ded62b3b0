"""How often a program looks for objects that refer to each other and are out of reach."""

from __future__ import annotations

import gc

NEW_OBJECTS = 50_000
_DEFAULT = gc.get_threshold()


def collect_rarely() -> None:
    """Let a program look after 50,000 new objects, not after 700 as by default.

    What the imports of Dagster and dbt make stays to the end, and is looked at again and again on the way: a third of
    the processor time of a run's first seconds, a fifth of a command's. Frames are freed by their last reference and
    are not what is looked for.
    """
    gc.set_threshold(NEW_OBJECTS, 20, 20)


def keep_what_is_loaded() -> None:
    """Look at nothing again that a server has loaded, and from now on as often as by default: what a request leaves
    behind may hold its whole body."""
    gc.freeze()
    gc.set_threshold(*_DEFAULT)
