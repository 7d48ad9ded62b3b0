"""Events of a topic of Kafka, as files that ingestion takes like those of the landing folder and the inbox.

What a partition holds beyond its offset in the lake is read up to a bound, and becomes one file for each tenant. All
files of a round are taken in one commit, which also sets the offsets: rows and offsets are one transaction, so a
message is taken once whatever is killed when. A file is named by its partition and first offset, and a killed round
comes again with the same ones or more: what it left in quarantine is replaced.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.landing import Ignored, LandingFile
from valueverse.platform.kafka.topic_reader import RECEIVED_AT, TopicReader
from valueverse.platform.lake import Lake
from valueverse.platform.settings import TENANT_KEY
from valueverse.services.ingestion.file_validation import NO_TENANT
from valueverse.services.ingestion.waiting_events import no_texts
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from valueverse.platform.kafka.topic_reader import PartitionEnds, TopicMessage
    from valueverse.platform.settings import Settings

_PARTITION_BYTES = 32 * 2**20
"""Of one partition in a round. Never of several together: a round that comes again has to reach as far as before."""
_AT_ONCE = 8
"""Partitions of a round."""


_NEW_TOPIC = (
    "the topic was made again: take the old one's offsets back, or name the new one otherwise (VALUEVERSE_KAFKA_TOPIC)"
)


@dataclass(frozen=True)
class PartitionLag:
    """How far ingestion is behind in a partition.

    Attributes:
        partition: its number.
        application: names it in the lake's transactions.
        next_offset: the first message that is not taken.
        end: the offset that the next message will have.
        problem: what is wrong with it; empty: nothing.
        usable: whether it is taken from all the same.
    """

    partition: int
    application: str
    next_offset: int
    end: int
    problem: str = ""
    usable: bool = True

    @property
    def waiting(self) -> int:
        """Offsets that are not taken."""
        return self.end - self.next_offset


@dataclass(frozen=True)
class Round:
    """What is taken in one commit.

    Attributes:
        files: a file for each partition and tenant, and one for each partition with what names no tenant.
        positions: application of each partition -> the first offset that is not in the files.
    """

    files: list[LandingFile]
    positions: dict[str, int]


@dataclass
class _Part:
    """The messages of one tenant in a range of a partition."""

    lines: list[bytes] = field(default_factory=list)
    receipts: list[tuple[int, datetime]] = field(default_factory=list)
    offsets: list[tuple[int, int]] = field(default_factory=list)

    def add(self, message: TopicMessage, received_at: datetime) -> None:
        line = len(self.lines) + 1
        self.lines.append(_on_one_line(message.value))
        if not self.receipts or self.receipts[-1][1] != received_at:
            self.receipts.append((line, received_at))
        if not self.offsets or message.offset - line != self.offsets[-1][1] - self.offsets[-1][0]:
            self.offsets.append((line, message.offset))


class Topic:
    """The topic of the settings, as one ingestion takes it.

    Args:
        name: of the topic.
        reader: of its messages.
        folder: where its files are written.
    """

    def __init__(self, name: str, reader: TopicReader, folder: Path) -> None:
        self._name, self._reader, self._folder = name, reader, folder
        self._ends: list[PartitionEnds] = []
        self.ignored: list[Ignored] = []

    def look(self) -> None:
        """Decide how far this ingestion reads.

        To be called before the inbox is looked into: who had an answer that a tenant exists, and then sent events of it
        here, sent the first of them later than that.
        """
        try:
            self._ends = self._reader.ends()
        except RefusalError as refusal:
            self._ignore("", refusal.message)

    def rounds(self, lake: Lake, moment: datetime) -> Iterator[Round]:
        """What waits, round after round; each is to be committed before the next is asked for.

        Args:
            lake: which knows how far each partition was taken.
            moment: the ingestion's, as which messages without a timestamp are received.
        """
        while lags := self._with_messages(lake):
            shutil.rmtree(self._folder, ignore_errors=True)
            try:
                found = [self._range(one, moment) for one in lags[:_AT_ONCE]]
            except RefusalError as refusal:
                self._ignore("", refusal.message)
                return
            files = [file for part, _ in found for file in part]
            yield Round(files, {one.application: end for one, (_, end) in zip(lags, found, strict=False)})
            shutil.rmtree(self._folder, ignore_errors=True)

    def _with_messages(self, lake: Lake) -> list[PartitionLag]:
        """Partitions with messages to take."""
        lags = lags_of(self._ends, lake)
        for one in lags:
            if one.problem:
                self._ignore(f"/{one.partition}", one.problem)
        return [one for one in lags if one.usable and one.waiting > 0]

    def _range(self, lag: PartitionLag, moment: datetime) -> tuple[list[LandingFile], int]:
        """The files of a partition's next messages, and the first offset after them."""
        parts: dict[str, _Part] = defaultdict(_Part)
        size, end = 0, lag.end
        for message in self._reader.read(lag.partition, lag.next_offset, lag.end):
            length = len(message.value or b"")
            if size and size + length > _PARTITION_BYTES:
                end = message.offset
                break
            size += length
            parts[_tenant_of(message.key)].add(message, _received_at(message, moment))
        if strays := parts.get(""):
            first, count = strays.offsets[0][1], len(strays.lines)
            self._ignore(f"/{lag.partition}", f"{count} messages from offset {first} on are in quarantine: {NO_TENANT}")
        return [self._file(lag, tenant, parts[tenant]) for tenant in sorted(parts)], end

    def _file(self, lag: PartitionLag, tenant: str, part: _Part) -> LandingFile:
        place = f"kafka/{self._name}/{lag.partition}/{lag.next_offset}.ndjson"
        path = self._folder / str(lag.partition) / f"{tenant}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line + b"\n" for line in part.lines))
        # The place, not the content: a range that is read again may reach further, and takes the place of the first.
        digest = hashlib.sha256(f"{lag.application}/{lag.next_offset}".encode()).hexdigest()
        name = f"{tenant}/{place}" if tenant else place
        size = path.stat().st_size
        return LandingFile(tenant, name, path, digest, size, receipts=tuple(part.receipts), offsets=tuple(part.offsets))

    def _ignore(self, place: str, reason: str) -> None:
        found = Ignored(f"topic {self._name}{place}", reason)
        if found not in self.ignored:
            self.ignored.append(found)


def lags_of(ends: Sequence[PartitionEnds], lake: Lake) -> list[PartitionLag]:
    """How far each partition was taken, as the events of the lake say."""
    stored = lake.open(EVENTS_TABLE)
    return [_lag(one, stored.position(one.application)) for one in ends]


def topic_lags(settings: Settings) -> list[PartitionLag]:
    """The same of the settings' topic; none where there is no Kafka.

    Raises:
        RefusalError: ``kafka_unavailable``, ``unknown_topic``, ``lake_failed``.
    """
    if settings.kafka_brokers is None:
        return []
    with closing(TopicReader(settings)) as reader:
        return lags_of(reader.ends(), Lake(settings.lake_url))


def sent_texts(settings: Settings, application: str, offsets: Sequence[int]) -> list[str]:
    """The events of messages of a partition, by its name in the lake's transactions.

    Raises:
        RefusalError: ``kafka_unavailable``, also for a message that is gone.
    """
    if settings.kafka_brokers is None:
        return no_texts(application, offsets)
    name, partition = application.split("/")[-2:]
    with closing(TopicReader(settings.model_copy(update={"kafka_topic": name}))) as reader:
        found = [next(reader.read(int(partition), one, one + 1), None) for one in offsets]
    return [_on_one_line(one.value).decode(errors="replace") for one in found if one is not None]


def newest_message(settings: Settings) -> int | None:
    """Offsets of the topic up to which something waits, summed; None: nothing does, or it is not known."""
    try:
        lags = topic_lags(settings)
    except RefusalError:
        return None
    return sum(one.end for one in lags) if any(one.usable and one.waiting for one in lags) else None


def _lag(ends: PartitionEnds, taken: int | None) -> PartitionLag:
    place = (ends.number, ends.application)
    if taken is None or taken > ends.high:
        problem = "" if taken is None else f"{taken} messages were taken and {ends.high} are there: {_NEW_TOPIC}"
        return PartitionLag(*place, ends.low, ends.high, problem, usable=taken is None)
    lost = f"messages {taken} to {ends.low - 1} were deleted by the topic's retention before they were taken"
    return PartitionLag(*place, max(taken, ends.low), ends.high, lost if taken < ends.low else "")


def _tenant_of(key: bytes | None) -> str:
    """The tenant that a key names, also before a slash; empty: none."""
    try:
        tenant = (key or b"").decode().partition("/")[0]
    except UnicodeDecodeError:
        return ""
    return tenant if TENANT_KEY.fullmatch(tenant) else ""


def _received_at(message: TopicMessage, moment: datetime) -> datetime:
    """When the API received the event; of others the message's timestamp, which is never later than now."""
    for name, value in message.headers:
        if name == RECEIVED_AT and (stated := _instant(value)) is not None:
            return stated
    return min(message.timestamp or moment, moment)


@lru_cache(64)
def _instant(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _on_one_line(value: bytes | None) -> bytes:
    """An event as a line, which no line end cuts: JSON has none inside of a text. No value is no event, and a line."""
    return (value or b"").replace(b"\r", b" ").replace(b"\n", b" ").strip() or b"null"
