"""Work of the engine beside the event loop: bounded in time and number, and fair between tenants."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from serving_api.logs import make_log

from serving_api.engine import Engine
from serving_api.problems import Problem
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Work that waits for it ends at last with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_one_tenants_endless_work_holds_back_nobody_else(gate: threading.Event) -> None:
    engine = Engine(make_log(), threads=2, waiting=3, seconds=0.3)
    endless = asyncio.gather(*(engine.work("acme", gate.wait) for _ in range(3)), return_exceptions=True)
    assert await engine.work("birch", lambda: 7) == 7
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="Too many"):
        await engine.work("acme", lambda: 7)
    late = await endless
    assert [one.name for one in late if isinstance(one, Problem)] == ["unavailable"] * 3
    assert [one.headers for one in late if isinstance(one, Problem)] == [{"Retry-After": "5"}] * 3
    # The thread still works for acme, which has its turn again once it is done; birch has the other one.
    with pytest.raises(Problem, match="within"):
        await engine.work("acme", lambda: 7)
    assert await engine.work("birch", lambda: 8) == 8
    gate.set()
    assert await engine.work("acme", lambda: 9) == 9
    engine.close()


async def test_what_work_refuses_is_refused_and_what_is_away_is_unavailable() -> None:
    engine = Engine(make_log())

    def refuse(code: str) -> None:
        raise RefusalError(code, "the lake at /secret failed")

    with pytest.raises(RefusalError):
        await engine.work("acme", lambda: refuse("unknown_customer"))
    with pytest.raises(Problem) as away:
        await engine.work("acme", lambda: refuse("warehouse_unreachable"))
    assert (away.value.name, away.value.headers) == ("unavailable", {"Retry-After": "5"})
    assert "secret" not in away.value.detail
    assert engine._turns == {}
    engine.close()
