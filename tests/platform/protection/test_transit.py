"""A key server that answers otherwise than a transit engine is refused; nothing of its answer is in the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from valueverse.errors import RefusalError
from valueverse.platform.protection.transit import TransitWrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED: dict[str, Callable[[TransitWrapper], object]] = {
    "wrap": lambda one: one.wrap([("acme", b"k" * 32)]),
    "unwrap": lambda one: one.unwrap([("acme", "vault:v1:AAAA")]),
    "rewrap": lambda one: one.rewrap([("acme", "vault:v1:AAAA")]),
    "retire": lambda one: one.retire(),
}
ANSWERS = {
    "without an end": b"[" * 200_000,
    "no JSON": b"s3cret",
    "a list": b'["s3cret"]',
    "no results": b'{"data": {"s3cret": 1}}',
    "other results": b'{"data": {"batch_results": ["s3cret"], "latest_version": "s3cret"}}',
    "no keys": b'{"data": {"batch_results": [{"plaintext": "s"}, {"s3cret": null}], "latest_version": null}}',
}


@pytest.mark.security
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_of_no_transit_engine_is_refused(
    asked: str, answer: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = requests.Response()
    given.status_code, given._content = status, ANSWERS[answer]
    given.headers["Content-Type"] = "application/json"
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: given)
    (tmp_path / "vault_token").write_text("token")
    wrapper = TransitWrapper("http://127.0.0.1:1", "transit", "keys", tmp_path / "vault_token")
    with pytest.raises(RefusalError) as refused:
        ASKED[asked](wrapper)
    assert refused.value.code == "key_server_refused"
    if status == 200:
        assert "s3cret" not in refused.value.message
