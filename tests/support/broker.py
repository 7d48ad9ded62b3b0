"""A broker of Kafka for tests: librdkafka's mock cluster, which answers by the protocol over TCP.

Messages are in memory. It knows no disk, no retention and no other broker: docs/kafka.md says what is not shown by it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Producer

PARTITIONS = 4
"""Of every topic, which comes into being when it is first named."""


class Broker:
    """The broker, which ends with this object, and a client that writes to it."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._cluster: Producer | None = Producer(
            {"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0}
        )
        [one] = self._cluster.list_topics(timeout=10).brokers.values()
        self.address = f"{one.host}:{one.port}"
        self._client = Producer({"bootstrap.servers": self.address, "acks": "all", "log_level": 0})

    def send(self, topic: str, messages: Iterable[tuple[Any, Any]], partition: int = -1, **more: Any) -> list[int]:
        """Write messages, each a key and a value (an event, or bytes); their offsets."""
        placed: list[int] = []
        more |= {"on_delivery": lambda error, found: placed.append(error or found.offset())}
        if partition >= 0:
            more["partition"] = partition
        for key, value in messages:
            self._client.produce(topic, json.dumps(value) if isinstance(value, dict) else value, key, **more)
        assert self._client.flush(10) == 0
        return placed

    def stop(self) -> None:
        """Nobody answers at the address any more."""
        self._cluster = None
