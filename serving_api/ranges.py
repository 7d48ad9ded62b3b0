"""Ranges of days and instants that requests ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, model_validator

from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date


def refuse_reversed(begins: date | None, ends: date | None, places: Sequence[str]) -> None:
    """Refuse a range whose beginning lies after its end: it would be answered with nothing, as if there were nothing.

    Args:
        begins, ends: days, or instants; None: left out.
        places: of both in the request.

    Raises:
        Problem: ``invalid-request``, which names both.
    """
    if begins is not None and ends is not None and begins > ends:
        first, last = (place.rpartition(".")[2] for place in places)
        message = f"`{first}` lies after `{last}`: nothing lies between them"
        errors = [{"path": place, "message": message} for place in places]
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=errors)


class Range(BaseModel):
    """A range of days or instants, [beginning, end): two fields, either of which may be left out."""

    ends: ClassVar[dict[str, str]] = {"from_": "query.from", "to": "query.to"}
    """The two, with their places in the request."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begins, ends = (getattr(self, name) for name in self.ends)
        refuse_reversed(begins, ends, list(self.ends.values()))
        return self
