"""One JSON line per event on standard output; secrets are scrubbed from whatever reaches it.

A line carries what is bound to the context it is written in: request_id, tenant, and of a trace trace_id and span_id.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import structlog

from valueverse.check_digits import luhn_holds

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

_SECRETS = re.compile(
    r"(?P<key>vv_[a-z0-9]{12}_)[A-Za-z0-9]+"
    r"|(?P<session>vv[rp]_)[A-Za-z0-9_.~-]+"
    r"|(?P<signing>whsec_)[A-Za-z0-9+/=_-]+"
    r"|(?P<jwt>eyJ[A-Za-z0-9_-]{5,}\.)[A-Za-z0-9_.-]+"
    r"|(?P<url>[a-z]+://[^/@\s:]*:)[^@\s]+(?=@)"
    r"|(?P<bearer>(?i:bearer|basic)\s+)\S+"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]*"
)
_CARD = re.compile(
    r"(?P<id>\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\d*[a-f])[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})\b)"
    r"|(?<!\d)(?<!\d\.)\d(?:[ -]?\d){12,18}(?!\d)(?!\.\d)"
)
"""What may be the number of a payment card: 13 to 19 digits, in groups or not. An amount has a point. Ids of requests,
spans, traces and hashes are met first, for one in some thousand has digits in a row that would pass for a card."""


def scrub(text: str) -> str:
    """``text`` without API keys, tokens, signing secrets, private keys, passwords of addresses and card numbers.

    The prefix that names a key stays. A card number is one whose check digit is right.
    """
    hidden = _SECRETS.sub(lambda found: f"{found.group(found.lastgroup or 0)}[hidden]", text)
    return _CARD.sub(lambda found: "[hidden]" if not found["id"] and _is_card(found.group()) else found.group(), hidden)


def _is_card(text: str) -> bool:
    digits = re.sub("[ -]", "", text)
    return digits.strip("0") != "" and luhn_holds(digits)


def _scrubbed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {_scrubbed_name(name): _clean(value) for name, value in event.items()}


@lru_cache(maxsize=256)
def _scrubbed_name(name: str) -> str:
    """Names of a line's fields are a few, stated by the code that writes it."""
    return scrub(name)


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
