"""Bodies of requests: the text of each event that a sender put into one, on one line, with every digit as it came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from valueverse.errors import RefusalError
from valueverse.events import LARGEST_EVENT
from valueverse.landing.json_lists import BrokenListError, is_one_value, list_elements
from valueverse.landing.streams import with_line_ends, without_marks

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_EVENTS = 100_000
MOST_EXPANDED = 64 * 2**20
"""Bytes of a body once it is expanded."""
ENCODINGS = {"": None, "identity": None, "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
"""Content-Encoding -> codec."""
_LONGEST = 2 * LARGEST_EVENT
_BLOCK = 2**20
_NO_JSON = "the body is no JSON; an event on each line is application/x-ndjson"
Form = Literal["json", "lines"]


def expand(body: bytes, encoding: str, most: int = MOST_EXPANDED) -> bytes:
    """The body without its Content-Encoding, in bounded memory.

    Raises:
        RefusalError: ``unsupported_encoding``; ``damaged_body``; ``body_too_large``: it expands beyond ``most`` bytes.
    """
    name = encoding.strip().lower()
    if name not in ENCODINGS:
        known = ", ".join(one for one in ENCODINGS if one and one != "x-gzip")
        raise RefusalError("unsupported_encoding", f"Content-Encoding is one of {known}", "header.content-encoding")
    codec = ENCODINGS[name]
    if codec is None:
        return body
    parts, size = [], 0
    try:
        stream = pa.CompressedInputStream(pa.BufferReader(body), codec)
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > most:
                message = f"the body expands to more than {most} bytes: send the events in parts"
                raise RefusalError("body_too_large", message, "body")
            parts.append(block)
    except OSError as error:
        raise RefusalError("damaged_body", f"the body is not whole {codec}: send it again", "body") from error
    return b"".join(parts)


def event_texts(body: bytes, form: Form) -> list[str]:
    """The events of a body.

    Args:
        body: expanded, UTF-8.
        form: ``json``: one event or a list of them; ``lines``: an event on each line.

    Raises:
        RefusalError: ``malformed_body``: nothing of it can be an event; ``too_many_events``.
    """
    if form == "lines":
        texts = _of_lines(_decoded(b"".join(with_line_ends(iter([body])))))
    else:
        texts = _of_document(_decoded(body))
    if not any(one.startswith("{") for one in texts):
        raise RefusalError("malformed_body", "the body holds no event: an event is a JSON object", "body")
    return texts


def binary_event(attributes: Mapping[str, str], data: bytes) -> str:
    """The text of an event in binary mode: its attributes are headers, the body is its ``data``.

    Raises:
        RefusalError: ``malformed_body``.
    """
    text = _decoded(data)
    if text and len(text) <= LARGEST_EVENT and not is_one_value(text):
        raise RefusalError("malformed_body", "the body is the event's data, and no JSON", "body")
    members = [f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in attributes.items()]
    return "{" + ",".join([*members, f'"data":{_on_one_line(text) or "null"}']) + "}"


def _decoded(body: bytes) -> str:
    try:
        return without_marks(body).decode().strip()
    except UnicodeDecodeError as error:
        place = error.start + len(body) - len(error.object)
        raise RefusalError("malformed_body", f"byte {place} of the body is no UTF-8", "body") from error


def _of_lines(text: str) -> list[str]:
    # Before anything is made of them: a body of line ends alone would be millions of texts.
    if text.count("\n") >= 2 * MOST_EVENTS:
        raise _too_many()
    texts = [line.strip() for line in text.split("\n")]
    texts = [line for line in texts if line]
    if len(texts) > MOST_EVENTS:
        raise _too_many()
    return texts


def _of_document(text: str) -> list[str]:
    if not text.startswith("["):
        if len(text) <= LARGEST_EVENT and not is_one_value(text):
            raise RefusalError("malformed_body", _NO_JSON, "body")
        return [_on_one_line(text)]
    texts: list[str] = []
    try:
        for element in list_elements(text, _LONGEST):
            if len(texts) == MOST_EVENTS:
                raise _too_many()
            texts.append(_on_one_line(element))
    except BrokenListError as error:
        message = f"after {len(texts)} events the list is no JSON, or the next is longer than {LARGEST_EVENT} bytes"
        raise RefusalError("malformed_body", message, f"body[{len(texts)}]") from error
    return texts


def _on_one_line(text: str) -> str:
    """JSON has no line end inside of a text: there are only those between its parts."""
    return text.replace("\r", " ").replace("\n", " ")


def _too_many() -> RefusalError:
    return RefusalError("too_many_events", f"the body holds more than {MOST_EVENTS} events: send them in parts", "body")
