"""What the API refuses, as exceptions: one class for each ``type`` of its problem documents (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Place:
    """A value at fault.

    Attributes:
        path: where it is, such as ``body.currency`` or ``query.limit``.
        message: what is wrong with it.
    """

    path: str
    message: str


class ProblemError(Exception):
    """The API has refused a request, or failed.

    Attributes:
        type: names the kind for programs, such as ``urn:valueverse:problem:not-found``; decide by it, or by the class.
        title: the kind in a few words.
        status: the HTTP status.
        detail: what happened, and the cure.
        instance: names the request, as the API's log does; ``urn:uuid:…``.
        places: the values at fault.
        retry_after: seconds after which a repetition may succeed; None where the API does not say so.
    """

    def __init__(self, document: dict[str, Any], status: int, retry_after: float | None = None) -> None:
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", f"HTTP status {status}"))
        self.status = status
        self.detail = str(document.get("detail", ""))
        self.instance = str(document.get("instance", ""))
        self.places = tuple(Place(str(one["path"]), str(one["message"])) for one in document.get("errors", ()))
        self.retry_after = retry_after
        places = "".join(f"; {one.path}: {one.message}" for one in self.places)
        super().__init__(f"{self.title} ({status}): {self.detail or self.type}{places}")


def raise_for_problem(response: httpx.Response) -> httpx.Response:
    """The answer if it is one of success; its body has been read. The API sends nobody elsewhere.

    Raises:
        ProblemError: of the class of its type; the class itself for what is no problem document, such as the answer of
            a proxy.
    """
    if response.is_success or response.status_code == 304:
        return response
    from valueverse_client._generated.problems import BY_TYPE

    document: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
        document = response.json()
    kind = BY_TYPE.get(str(document.get("type")), ProblemError)
    raise kind(document, response.status_code, seconds_to_wait(response))


def seconds_to_wait(response: httpx.Response) -> float | None:
    """What ``Retry-After`` says, in seconds; the API never writes a date there."""
    try:
        return max(float(response.headers["retry-after"]), 0.0)
    except (KeyError, ValueError):
        return None
