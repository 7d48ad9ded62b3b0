"""What the rows of serving are measured against: an ASGI application that sends one reply and does nothing else.

Granian serves it as it serves the API. The file that ``BENCH_REPLY`` names has the reply: headers and body.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_REPLY = json.loads(Path(os.environ["BENCH_REPLY"]).read_text())
_HEADERS = [(name.encode(), value.encode()) for name, value in _REPLY["headers"]]
_BODY = _REPLY["body"].encode()


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Send the reply."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})
