"""The messages of a topic, read by partition and offset, without a group: the lake has what was taken."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from valueverse.errors import RefusalError
from valueverse.platform.kafka.connection import ANSWER_SECONDS, connection, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

RECEIVED_AT = "received-at"
"""Header: when the API received the event, RFC 3339 in UTC."""
_AT_ONCE = 10_000
_PAUSE_SECONDS = 0.05
_SILENCE_SECONDS = 2 * ANSWER_SECONDS
"""Without a message while there have to be some."""


class TopicMessage(NamedTuple):
    """One message: its place, its key and value, its headers, and the timestamp it carries."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp: datetime | None


@dataclass(frozen=True)
class PartitionEnds:
    """Which offsets a partition has: from ``low`` on, before ``high``.

    Attributes:
        application: names the partition in the lake's transactions: cluster, topic and number.
    """

    number: int
    low: int
    high: int
    application: str


class TopicReader:
    """The topic of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka_topic
        self._consumer = Consumer(connection(settings) | _READING)

    def close(self) -> None:
        """Let the connections go."""
        self._consumer.close()

    def ends(self) -> list[PartitionEnds]:
        """Every partition, in order. What a transaction has not committed yet is beyond ``high``.

        Raises:
            RefusalError: ``kafka_unavailable``; ``unknown_topic``.
        """
        try:
            cluster = self._consumer.list_topics(self._topic, ANSWER_SECONDS)
            found = cluster.topics[self._topic]
            if found.error is not None:
                cure = "make it, with as many partitions as ingestion shall read, or correct VALUEVERSE_KAFKA_TOPIC"
                raise RefusalError("unknown_topic", f"topic {self._topic}: {found.error.str()}; {cure}")
            place = f"kafka/{cluster.cluster_id}/{self._topic}"
            return [PartitionEnds(one, *self._offsets(one), f"{place}/{one}") for one in sorted(found.partitions)]
        except KafkaException as error:
            raise refusal(error) from error

    def _offsets(self, partition: int) -> tuple[int, int]:
        found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), ANSWER_SECONDS)
        if found is None:
            raise refusal(TimeoutError())
        return found

    def read(self, partition: int, start: int, end: int) -> Iterator[TopicMessage]:
        """The messages of a partition from offset ``start`` to before ``end``, in order; some offsets hold none.

        Raises:
            RefusalError: ``kafka_unavailable``, also after some messages.
        """
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        heard = time.monotonic()
        place = start
        while place < end:
            found = self._consumer.consume(_AT_ONCE, _PAUSE_SECONDS)
            if not found and time.monotonic() - heard > _SILENCE_SECONDS:
                raise refusal(TimeoutError())
            for one in found:
                heard = time.monotonic()
                place = end if _is_end(one.error()) else int(one.offset() or 0) + 1
                if place > end or one.error() is not None:
                    break
                yield _message(one)


_READING: dict[str, Any] = {
    # A client needs a name of a group; nothing is ever committed to it.
    "group.id": "valueverse",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # An offset that is gone is an error here: nothing is skipped without a word.
    "auto.offset.reset": "error",
}


def _is_end(problem: KafkaError | None) -> bool:
    """Whether there is no further message for now; other errors end the reading, but for those that pass by."""
    if problem is None:
        return False
    if problem.code() != KafkaError._PARTITION_EOF:
        raise refusal(KafkaException(problem))
    return True


def _message(one: Any) -> TopicMessage:
    kind, stamp = one.timestamp()
    at = None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(stamp / 1000, UTC)
    return TopicMessage(one.offset(), one.key(), one.value(), one.headers() or [], at)
