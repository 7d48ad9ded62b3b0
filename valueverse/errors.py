"""The one error a user is meant to read: what is wrong, where it stands, and (in the message) the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

_COMPARED = 128
"""Characters of an unknown name that are compared: the work is quadratic in the length of a hostile one."""
_LISTED = 20


class Hint(NamedTuple):
    """The end of a sentence about an unknown name, and the known name that was probably meant (None: no near one)."""

    ending: str
    name: str | None


def near_names(name: str, known: Collection[str], most: int = 1) -> list[str]:
    """The known names that ``name`` was probably meant to be, the nearest first."""
    import difflib

    return difflib.get_close_matches(name[:_COMPARED], sorted(known), n=most)


def did_you_mean(name: str, known: Collection[str]) -> Hint:
    """``: did you mean 'plans'?``, or what is known where no known name is near ``name``."""
    near = near_names(name, known)
    if near:
        return Hint(f": did you mean {near[0]!r}?", near[0])
    if not known:
        return Hint("; none is defined", None)
    listed = ", ".join(sorted(known)[:_LISTED])
    return Hint(f"; known are: {listed}{' ...' if len(known) > _LISTED else ''}", None)


class RefusalError(Exception):
    """Input that cannot be taken, or a step that cannot be done, with a message that a person can act on.

    Attributes:
        code: stable machine-readable word in snake_case, e.g. ``inexact_number``.
        message: one sentence that names the value and says what would be accepted.
        path: where it stands, e.g. ``price.tiers[1].unit``; empty when the whole input is meant.
        suggestion: what could stand there instead, e.g. the known name that an unknown one is near to; else None.
    """

    def __init__(self, code: str, message: str, path: str = "", suggestion: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.suggestion = suggestion

    @classmethod
    def unknown(cls, code: str, what: str, name: str, known: Collection[str], path: str) -> RefusalError:
        """``what`` (``unknown field 'plnas'``) and which of the ``known`` names was probably meant by ``name``."""
        hint = did_you_mean(name, known)
        return RefusalError(code, f"{what}{hint.ending}", path, hint.name)

    def below(self, prefix: str) -> RefusalError:
        """The same refusal, its path read from one level further up."""
        return RefusalError(self.code, self.message, joined(prefix, self.path), self.suggestion)

    def as_json(self) -> dict[str, str]:
        """The ``error`` object that calculators and the API answer with (contracts.md, section 5)."""
        return {"code": self.code, "message": self.message, "path": self.path}


def joined(prefix: str, path: str) -> str:
    """A path below another: ``plans[0]`` and ``charges[1].key``; either may be empty."""
    joint = "." if prefix and path and not path.startswith("[") else ""
    return f"{prefix}{joint}{path}"
