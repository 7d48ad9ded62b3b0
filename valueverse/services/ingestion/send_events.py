"""Events of a request into the topic, where the settings name brokers of Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pyarrow as pa

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.platform.kafka.topic_reader import RECEIVED_AT
from valueverse.platform.kafka.topic_writer import TopicWriter

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.kafka.topic_writer import Written
    from valueverse.platform.settings import Settings
    from valueverse.services.ingestion.receive_events import JudgedEvents

LARGEST_MESSAGE = 900_000
"""Bytes: brokers take messages of a megabyte, unless a topic says otherwise."""


class EventSender:
    """Sends events of one process; without brokers, none."""

    def __init__(self, settings: Settings) -> None:
        self._writer = TopicWriter(settings) if settings.kafka_brokers is not None else None

    async def send(self, tenant: str, judged: JudgedEvents, moment: datetime) -> Written | None:
        """Write the events of a request, received at ``moment``, a message each; durable once this returns.

        Returns:
            Where they are; None where they have to wait in the inbox: there is no Kafka, one of them is too large for a
            message, or a billing event, which the next write is judged against.

        Raises:
            RefusalError: ``kafka_unavailable``, ``unknown_topic``; some of the events may be there all the same.
        """
        if self._writer is None or judged.billing_types:
            return None
        lines = await asyncio.to_thread(_lines, judged.body)
        if max(map(len, lines)) > LARGEST_MESSAGE:
            return None
        try:
            return await self._writer.write(tenant, lines, [(RECEIVED_AT, utc_text(moment))])
        except RefusalError as refusal:
            if refusal.code != "message_too_large":
                raise
            return None

    def close(self) -> None:
        """Let the connection go."""
        if self._writer is not None:
            self._writer.close()


def _lines(body: bytes) -> list[bytes]:
    whole = bytes(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read())
    return whole.removesuffix(b"\n").split(b"\n")
