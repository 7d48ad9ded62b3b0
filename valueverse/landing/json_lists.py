"""The elements of a JSON list, each as it is written: numbers keep their digits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\r\n]*")
_AFTER_VALUE = {*" \t\r\n,]", ""}
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BREAKS_OFF = "the list breaks off or is no JSON from here on; the elements before are taken"
_NO_SEPARATOR = "after an element of the list ',' or ']' is expected; the elements before are taken"


class BrokenListError(ValueError):
    """A list that is none from ``place`` on; the elements before were given."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def is_one_value(text: str) -> bool:
    """Whether the text is one JSON value and nothing else."""
    try:
        return _DECODER.raw_decode(text)[1] == len(text.rstrip())
    except (ValueError, RecursionError):
        return False


def list_elements(text: str, longest: int | None = None) -> Iterator[str]:
    """The texts of the elements of a list.

    Args:
        text: begins with ``[``, and ends with what is no white space.
        longest: characters of an element, about, beyond which it is not decoded: what a few bytes of JSON become in
            memory is a multiple of them. None: an element may be as long as the text.

    Raises:
        BrokenListError: after the elements that could be read.
    """
    window = _Window(text, longest or len(text))
    place = _next(text, 1)
    if text[place:] == "]":
        return
    while True:
        end = window.end_of_value(place)
        if end is None:
            raise BrokenListError(place, _BREAKS_OFF)
        yield text[place:end]
        place = _next(text, end)
        if text[place : place + 1] != ",":
            break
        place = _next(text, place + 1)
    if text[place:] != "]":
        raise BrokenListError(place, _NO_SEPARATOR)


class _Window:
    """A part of a text, moved on as its values are read: a value is never decoded further than the part reaches."""

    def __init__(self, text: str, size: int) -> None:
        self._text, self._size = text, size
        self._start, self._part = 0, text if size >= len(text) else text[:size]

    def end_of_value(self, place: int) -> int | None:
        """Where the JSON value that begins at ``place`` ends; None: there is none, or none that is short enough."""
        end = self._decoded(place)
        # A number at the edge of the part may go on behind it.
        whole = end is not None and self._text[end : end + 1] in _AFTER_VALUE
        if not whole and self._start + len(self._part) < len(self._text):
            self._start, self._part = place, self._text[place : place + self._size]
            end = self._decoded(place)
        return end

    def _decoded(self, place: int) -> int | None:
        try:
            return self._start + _DECODER.raw_decode(self._part, place - self._start)[1]
        except (ValueError, RecursionError):
            return None


def _next(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
