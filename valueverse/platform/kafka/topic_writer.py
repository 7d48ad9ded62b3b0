"""Messages into the topic, each acknowledged by every replica that is in step before its sender goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from binascii import crc32
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

from valueverse.errors import RefusalError
from valueverse.platform.kafka.connection import ANSWER_SECONDS, connection, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message

    from valueverse.platform.settings import Settings

_WRITING: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "zstd",
    "linger.ms": 2,
    # Beyond it nothing is queued, and the request is refused.
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 128 * 1024,
}
DELIVERY_SECONDS = 8
"""How long all replicas may take, retries included."""
_POLL_SECONDS = 0.2
_AWAY = {KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
_REFUSED_SECONDS = 2
"""After a failure nothing is tried for so long: requests do not pile up behind a broker that is away."""
Headers = list[tuple[str, str | bytes | None]]


def properties(settings: Settings) -> dict[str, Any]:
    """Of the producer: what makes an acknowledged message durable is no one's to change.

    Raises:
        RefusalError: ``bad_setting``.
    """
    return connection(settings) | _WRITING | {"delivery.timeout.ms": int(DELIVERY_SECONDS * 1000)}


@dataclass(frozen=True)
class Written:
    """Where messages are: the partition's name in the lake's transactions, and the offset of each, in order."""

    application: str
    offsets: list[int]


@dataclass
class _Delivery:
    """Reports about the messages of one call, all of one partition, in the order in which they were sent."""

    left: int
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    offsets: list[int] = field(default_factory=list)
    error: KafkaError | None = None

    def reported(self, error: KafkaError | None, message: Message) -> None:
        """Called by the thread that polls."""
        self.left -= 1
        self.error = self.error or error
        self.offsets.append(int(message.offset() or 0))
        if not self.left:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class TopicWriter:
    """The topic of the settings, for one process. It connects when something is written first."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._topic = settings, settings.kafka_topic
        self._making = threading.Lock()
        self._producer: Producer | None = None
        self._partitions: list[str] = []
        self._failed: tuple[float, RefusalError] | None = None

    async def write(self, key: str, values: Sequence[bytes], headers: Headers) -> Written:
        """Write messages of one key, which all go to one partition; they are durable once this returns.

        Where it fails, some of them may be there all the same.

        Raises:
            RefusalError: ``kafka_unavailable``: not all were acknowledged in time, too many wait to be, or it was so a
                moment ago; ``message_too_large``; ``unknown_topic``.
        """
        loop = asyncio.get_running_loop()
        delivery = _Delivery(len(values), loop.create_future(), loop)
        application = await asyncio.to_thread(self._queue, key, values, headers, delivery)
        await delivery.done
        if delivery.error is not None:
            raise self._failure(delivery.error)
        return Written(application, delivery.offsets)

    def _queue(self, key: str, values: Sequence[bytes], headers: Headers, delivery: _Delivery) -> str:
        producer = self._connected()
        partition = crc32(key.encode()) % len(self._partitions)
        try:
            for value in values:
                producer.produce(self._topic, value, key, partition, headers=headers, on_delivery=delivery.reported)
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        except BufferError as error:
            raise RefusalError("kafka_unavailable", "too many events wait for Kafka: send them again") from error
        return self._partitions[partition]

    def _failure(self, error: KafkaError) -> RefusalError:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return RefusalError("message_too_large", "an event is larger than the topic's messages may be")
        if error.fatal():
            self._producer = None
        failure = refusal(KafkaException(error))
        # What is wrong with one message refuses no other tenant's.
        return self._remembered(failure) if error.code() in _AWAY else failure

    def _remembered(self, failure: RefusalError) -> RefusalError:
        self._failed = (time.monotonic(), failure)
        return failure

    def _connected(self) -> Producer:
        with self._making:
            if self._failed is not None and time.monotonic() - self._failed[0] < _REFUSED_SECONDS:
                raise self._failed[1]
            if self._producer is None:
                producer = Producer(properties(self._settings))
                self._partitions = self._applications(producer)
                self._producer = producer
                threading.Thread(target=self._poll, args=[producer], daemon=True).start()
            return self._producer

    def _applications(self, producer: Producer) -> list[str]:
        """Each partition's name. New ones are used by the next process: meanwhile a key stays where it is."""
        try:
            cluster = producer.list_topics(self._topic, ANSWER_SECONDS)
        except KafkaException as error:
            raise self._remembered(refusal(error)) from error
        found = cluster.topics[self._topic]
        if found.error is not None:
            raise RefusalError("unknown_topic", f"topic {self._topic}: {found.error.str()}; make it")
        return [f"kafka/{cluster.cluster_id}/{self._topic}/{one}" for one in sorted(found.partitions)]

    def _poll(self, producer: Producer) -> None:
        """Reports are made here, as long as the producer is this writer's."""
        while producer is self._producer:
            producer.poll(_POLL_SECONDS)
        producer.flush(DELIVERY_SECONDS)

    def close(self) -> None:
        """Let the connection go once everything is reported."""
        self._producer = None
