"""Tokens stand for numbers that are sealed; swapped, replayed and erased ones open nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.card_scan import places_with, places_with_card_numbers
from tests.support.landing import NOW, event, founding
from tests.support.protection import own_secrets
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.privacy.erase_subject import erase_subject
from valueverse.services.privacy.export_subject import export_subject
from valueverse.services.privacy.payment_instruments import (
    add_instrument,
    listed_instruments,
    remove_instrument,
    reveal_instrument,
)
from valueverse.services.privacy.rotate_keys import rotate_data_keys, rotate_wrapping_key
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Settings:
    """Two tenants with two customers each."""
    own = own_secrets(settings, tmp_path)
    for tenant in ("acme", "birch"):
        customers = [event(key, {"customer": key}, type="billing.customer.created") for key in ("c1", "c2")]
        (own.landing / tenant).mkdir()
        lines = [founding(tenant), *customers]
        (own.landing / tenant / "a.ndjson").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run_ingestion(own, Lake(own.lake_url), BEGINNING, NOW)
    return own


def test_a_number_is_stored_sealed_and_shown_to_who_says_why(world: Settings) -> None:
    card, again = (add_instrument(world, "acme", "c1", CARD) for _ in range(2))
    account = add_instrument(world, "acme", "c2", IBAN)
    assert len({card, again, account}) == 3, "tokens are random"
    assert [(one["token"], one["kind"], one["last_four"]) for one in listed_instruments(world, "acme", "c2")] == [
        (account, "iban", "3000")
    ]
    assert places_with_card_numbers(world) == {}
    assert places_with(world, lambda text: [IBAN] if IBAN.replace(" ", "") in text else []) == {}
    assert reveal_instrument(world, "acme", card, "refund 17") == CARD.replace(" ", "")
    with connect(world, "builder") as connection:
        before = connection.execute("select token, sealed from vault.instrument order by token").fetchall()
    rotate_wrapping_key(world, retire=True)
    assert rotate_data_keys(world, "acme") == ["c1", "c2"]
    with connect(world, "builder") as connection:
        after = connection.execute("select token, sealed from vault.instrument order by token").fetchall()
        actions = connection.execute("select action, customer from vault.privacy_action order by action_id").fetchall()
    assert [sealed[4] for _, sealed in after] == [2, 2, 2], "sealed by the new data keys"
    assert before != after
    assert reveal_instrument(world, "acme", account, "debit") == IBAN.replace(" ", "")
    assert actions[-1] == ("instrument_revealed", "c1")
    remove_instrument(world, "acme", again)
    assert again not in [one["token"] for one in listed_instruments(world, "acme", None)]


def test_a_sealed_number_moved_to_another_token_customer_or_tenant_opens_nothing(world: Settings) -> None:
    mine, other = add_instrument(world, "acme", "c1", CARD), add_instrument(world, "acme", "c2", IBAN)
    foreign = add_instrument(world, "birch", "c1", CARD)
    for token, tenant in ((other, "acme"), (foreign, "birch")):
        with connect(world, "builder") as connection:
            connection.execute(
                "update vault.instrument set sealed = (select sealed from vault.instrument where token = %s) "
                "where token = %s",
                [mine, token],
            )
        with pytest.raises(RefusalError, match="sealed for another place"):
            reveal_instrument(world, tenant, token, "x")
    with pytest.raises(RefusalError, match="no payment instrument"):
        reveal_instrument(world, "birch", mine, "x")


def test_erasing_a_customer_takes_their_instruments_and_exports_show_the_last_four_alone(world: Settings) -> None:
    mine, other = (add_instrument(world, "acme", customer, CARD) for customer in ("c1", "c2"))
    made = export_subject(world, "acme", "c1", NOW)
    assert [(part["name"], part["rows"]) for part in made.manifest["parts"] if "instrument" in part["name"]] == [
        ("vault.instrument.ndjson", 1)
    ]
    assert erase_subject(world, "acme", "c1", NOW).rows["vault.instrument"] == 1
    with pytest.raises(RefusalError, match="no payment instrument"):
        reveal_instrument(world, "acme", mine, "x")
    assert reveal_instrument(world, "acme", other, "x") == CARD.replace(" ", "")


@pytest.mark.parametrize("number", ["", "4111111111111112", "DE00370400440532013000", "4111111111111111 and more"])
def test_what_is_no_number_of_a_card_or_account_is_refused_without_being_repeated(
    settings: Settings, number: str
) -> None:
    with pytest.raises(RefusalError) as refused:
        add_instrument(settings, "acme", "c1", number)
    assert refused.value.code == "bad_number"
    assert not number or number not in refused.value.message


def test_an_unknown_customer_an_unknown_token_and_no_reason_are_refused(settings: Settings) -> None:
    with pytest.raises(RefusalError, match="has no customer"):
        add_instrument(settings, "acme", "c1", CARD)
    with pytest.raises(RefusalError, match="no payment instrument"):
        remove_instrument(settings, "acme", "tok_x")
    with pytest.raises(RefusalError, match="say why"):
        reveal_instrument(settings, "acme", "tok_x", " ")
