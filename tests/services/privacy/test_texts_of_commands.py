"""What commands store is searched for numbers of cards by the services that they call, before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from valueverse.errors import RefusalError
from valueverse.platform.settings import Settings
from valueverse.services.people.identity_providers import set_provider
from valueverse.services.people.invitations import new_invitation
from valueverse.services.people.provider import Provider
from valueverse.services.value.commits.commit_model import commit
from valueverse.services.webhooks.endpoints import check_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

CARD = "4111111111111111"
MODEL = f"schema: valueverse.value_model/v1\nmodel: saved\ntitle: paid by {CARD}\n"
NOTHING = cast("Any", None)
WRITES: dict[str, Callable[[Settings], object]] = {
    "URL": lambda settings: check_endpoint(settings, f"https://example.com/hooks?card={CARD}", []),
    "email": lambda settings: new_invitation(settings, "acme", f"{CARD}@example.com", "viewer"),
    "provider.issuer": lambda settings: set_provider(settings, Provider("acme", f"https://a.example/{CARD}", "c", "s")),
    "provider.client_id": lambda settings: set_provider(settings, Provider("acme", "https://a.example", CARD, "s")),
    "model": lambda _: commit(NOTHING, MODEL, {}),
}


@pytest.mark.parametrize("place", WRITES)
def test_a_text_of_a_command_with_the_number_of_a_card_is_refused_with_its_place(place: str) -> None:
    with pytest.raises(RefusalError) as refused:
        WRITES[place](Settings())
    assert (refused.value.code, refused.value.path) == ("payment_instrument", place)
    assert CARD not in refused.value.message
