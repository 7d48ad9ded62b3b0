"""The former place of ``did_you_mean``, until its last users follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection


def meant(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name."""
    return did_you_mean(name, known).ending
