"""The one error a user is meant to read: what is wrong, where it stands, and (in the message) the cure."""

from __future__ import annotations


class RefusalError(Exception):
    """Input that cannot be taken, or a step that cannot be done, said so that a person can act on it.

    Attributes:
        code: stable machine-readable word in snake_case, e.g. ``inexact_number``.
        message: one sentence that names the value and says what would be accepted.
        path: where it stands, e.g. ``price.tiers[1].unit``; empty when the whole input is meant.
    """

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path

    def below(self, prefix: str) -> RefusalError:
        """The same refusal, its path read from one level further up."""
        if not self.path:
            return RefusalError(self.code, self.message, prefix)
        joint = "" if self.path.startswith("[") else "."
        return RefusalError(self.code, self.message, f"{prefix}{joint}{self.path}")

    def as_json(self) -> dict[str, str]:
        """The ``error`` object that calculators and the API answer with (contracts.md, section 5)."""
        return {"code": self.code, "message": self.message, "path": self.path}
