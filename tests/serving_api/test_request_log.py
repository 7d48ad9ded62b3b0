"""Lines about requests are written beside the event loop, and none is missing in silence."""

from __future__ import annotations

import io
import json
from threading import Event
from typing import TYPE_CHECKING

import pytest

from serving_api.request_log import RequestLog

if TYPE_CHECKING:
    from typing_extensions import Buffer

pytestmark = pytest.mark.anyio


class Slow(io.BytesIO):
    """Takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Event()

    def write(self, text: Buffer, /) -> int:
        assert self.go_on.wait(60)
        return super().write(text)


async def test_lines_that_cannot_be_written_are_counted_and_the_log_says_how_many() -> None:
    sink = Slow()
    log = RequestLog(sink, seconds=60, at_most=1000)
    for number in range(10):
        log.add("GET", None, 200, "acme-4111111111111111", 0.0012, {"request_id": str(number)})
        log.flush()
    sink.go_on.set()
    log.close()
    lines = [json.loads(line) for line in sink.getvalue().splitlines()]
    written = [line for line in lines if line["event"] == "request"]
    dropped = [line for line in lines if line["event"] != "request"]
    assert 0 < sum(line["lines"] for line in dropped) == 10 - len(written)
    assert [line["request_id"] for line in written] == [str(number) for number in range(len(written))]
    assert (dropped[0]["level"], dropped[0]["event"]) == ("error", "lines of requests were dropped")
    assert written[0]["tenant"] == "acme-[hidden]"
    assert written[0]["milliseconds"] == 1.2
