"""An entry of the audit log as bytes: RFC 8785 JSON whose values are texts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rfc8785

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = ("action", "actor", "at", "digest", "object", "request", "tenant")
"""action: what was done, as ``invoice.finalised``. actor: key prefix, person or ``system``. at: RFC 3339 UTC. digest:
hex SHA-256 of what was written, empty without content. object: number or pseudonym of what it is about. request: the
id of the API's request, else empty."""


def entry_bytes(fields: Mapping[str, str]) -> bytes:
    """Canonical bytes of an entry.

    Raises:
        ValueError: fields are missing, unknown, or no texts.
    """
    if set(fields) != set(FIELDS) or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError(f"an entry has exactly the texts {', '.join(FIELDS)}")
    return bytes(rfc8785.dumps(dict(fields)))
