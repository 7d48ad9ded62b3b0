"""Log lines: JSON, and nothing secret in them, wherever it is put."""

from __future__ import annotations

import io
import json

import pytest

from valueverse.platform.telemetry.logs import make_log, scrub

CARDS = ["4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444", "378282246310005", "4222222222222"]


@pytest.mark.security
@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_never_reaches_a_line_in_whatever_form_it_is_put(card: str) -> None:
    sink = io.BytesIO()
    log = make_log(sink)
    sentence = f"paid with {card}."
    log.info(sentence, **{f"field {card}": {card: [card, {"deep": ValueError(sentence)}]}})
    log.error("failed", exc_info=RuntimeError(f"{card} was declined"))
    text = sink.getvalue().decode()
    assert card not in text
    assert "".join(filter(str.isdecimal, card)) not in text
    assert all(json.loads(line)["level"] for line in text.splitlines())


@pytest.mark.security
@pytest.mark.parametrize(
    "secret",
    [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "-----BEGIN PRIVATE KEY-----\nMfKQ9r8GKYqrTwjUPD8\n-----END PRIVATE KEY-----",
        "Authorization: Basic MfKQ9r8GKYqrTwjUPD8=",
        "vvp_bWluZQ.MfKQ9r8GKYqrTwjUPD8",
    ],
)
def test_secrets_of_webhooks_and_private_keys_are_scrubbed(secret: str) -> None:
    assert "MfKQ9r8G" not in scrub(f"before {secret} after")
    assert scrub(f"before {secret}").startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # its check digit is wrong
        "0000000000000",
        "12345678901234567890123",
        "amount 4242424242424242.00",
        "9f86d081-884c-4d63-a1f8-4242424242ab",
        "6bf31088-6066-4934-9d14-d7969a1c9dcb",  # ids whose digits would pass for a card
        "f42424242424242a",
        "a4242424242424242bcdef0123456789",
        f"a4242424242424242bcdef{'0' * 42}",
        "acme-000001 of 2024-01-31T00:00:00Z",
    ],
)
def test_numbers_that_are_no_cards_stay(text: str) -> None:
    assert scrub(text) == text
