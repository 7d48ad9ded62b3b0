"""Events of a request, however they came: what is no body is refused, and all others are stored before the answer."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from serving_api.metrics import EVENTS
from serving_api.problems import Problem
from serving_api.security.authentication import insufficient_scope, spend_events
from serving_api.service import service_of
from valueverse.dates import utc_text, utc_texts
from valueverse.errors import RefusalError
from valueverse.platform.live_events import written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from starlette.requests import Request

    from serving_api.security.tokens import Identity
    from valueverse.platform.kafka.topic_writer import Written
    from valueverse.platform.live_events import Entry
    from valueverse.services.ingestion.receive_events import JudgedEvents

_PROBLEMS = {
    "unsupported_encoding": "unsupported-media-type",
    "body_too_large": "body-too-large",
    "too_many_events": "body-too-large",
}


@contextmanager
def refused_bodies() -> Iterator[None]:
    """What cannot be read as events is a problem: ``malformed-request``, or that of its encoding or size."""
    try:
        yield
    except RefusalError as refusal:
        name = _PROBLEMS.get(refusal.code, "malformed-request")
        place = {"path": refusal.path or "body", "message": refusal.message}
        raise Problem(name, refusal.message, errors=[place]) from refusal


async def store_events(request: Request, identity: Identity, judged: JudgedEvents, moment: datetime) -> uuid.UUID:
    """Store the events of a request for ingestion; they are durable once this returns.

    Returns:
        The receipt: what names the request.

    Raises:
        Problem: ``insufficient-scope`` where one is a billing event; ``rate-limited``: the tenant's budget of events
            is used up; ``unavailable``.
    """
    if judged.billing_types and not identity.may("billing:write"):
        raise insufficient_scope("billing:write", f"Events of type {judged.billing_types[0]} need")
    if judged.events > 1:
        await spend_events(request, identity.tenant, judged.events - 1)
    receipt = uuid.uuid4()
    request_id = request.scope["exchange"].request_id
    # Before the receipt: what is claimed to have been received has to be there.
    written = await _written(request, identity.tenant, judged, moment)
    body = judged.body if written is None else None
    stored = (receipt, moment, body, judged.events, judged.expanded, judged.key_hashes)
    sent_by = (judged.root.hex(), identity.key_prefix, request_id, bool(judged.billing_types))
    place = () if written is None else (written.application, written.offsets)
    await service_of(request).database.call("receive_events", identity.tenant, *stored, *sent_by, *place)
    EVENTS.inc(judged.events)
    await service_of(request).live.publish(identity.tenant, partial(_announced, judged, receipt, moment))
    return receipt


async def _written(request: Request, tenant: str, judged: JudgedEvents, moment: datetime) -> Written | None:
    service = service_of(request)
    try:
        return await service.sender.send(tenant, judged, moment)
    except RefusalError as refusal:
        service.log.warning("events not written", code=refusal.code, reason=refusal.message)
        detail = "The events could not be stored, perhaps some of them: send all of them again."
        raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from refusal


def _announced(judged: JudgedEvents, receipt: uuid.UUID, moment: datetime) -> Entry:
    """What whoever follows events is announced of a request."""
    request = {"batch": str(receipt), "received_at": utc_text(moment)}
    shown = judged.first.with_columns(utc_texts(pl.col("time")).alias("time"))
    events = [row | request for row in shown.iter_rows(named=True)]
    more = judged.events - len(events)
    return written("received", events, {"batch": str(receipt), "events": more} if more else None)
