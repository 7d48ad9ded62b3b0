"""One JSON line per event on standard output; secrets are scrubbed from whatever reaches it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

_SECRETS = re.compile(
    r"(?P<key>vv_[a-z0-9]{12}_)[A-Za-z0-9]+"
    r"|(?P<refresh>vvr_)[A-Za-z0-9_.~-]+"
    r"|(?P<jwt>eyJ[A-Za-z0-9_-]{5,}\.)[A-Za-z0-9_.-]+"
    r"|(?P<url>[a-z]+://[^/@\s:]*:)[^@\s]+(?=@)"
    r"|(?P<bearer>(?i:bearer|basic)\s+)\S+"
)


def scrub(text: str) -> str:
    """``text`` without API keys, tokens and passwords of addresses; the prefix that names a key stays."""
    return _SECRETS.sub(lambda found: f"{found.group(found.lastgroup or 0)}[hidden]", text)


def _scrubbed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(name)): _clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_clean(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else scrub(str(value))


def make_log(sink: BinaryIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """A logger of its own: the process's structlog configuration is left alone."""
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(sink or sys.stdout.buffer),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _scrubbed,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )
    return log
