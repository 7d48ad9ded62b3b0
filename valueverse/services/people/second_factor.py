"""A second factor: codes of an authenticator app (RFC 6238), and codes for the day that it is lost.

The app's secret is sealed by the tenant's own data key, for its row. Everything is asked of the database as the API's
login.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyotp

from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest
from valueverse.platform.protection import Cell, own_keys
from valueverse.platform.queries import row_of, value_of
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import uuid

    import psycopg

    from valueverse.platform.settings import Settings

RECOVERY_CODES = 10
_STEP = 30
_DRIFT = 1
"""Steps that the clock of a telephone may be early or late."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE = re.compile(r"\d{6}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """Whose second factor it is.

    Attributes:
        tenant: of the person.
        user: id.
        family: the session that acts.
    """

    tenant: str
    user: str
    family: uuid.UUID


def begin(settings: Settings, person: Person, email: str) -> dict[str, str]:
    """A new secret, which counts once ``confirm`` has seen a code of it; and its address for the app's camera.

    Raises:
        RefusalError: ``has_second_factor``; ``key_server_unreachable``, ``key_server_refused``,
            ``data_key_unreadable``.
    """
    secret = pyotp.random_base32()
    with connect(settings, "api") as connection:
        (sealed,) = own_keys(settings, connection).seal([(_cell(person.tenant, person.user), secret.encode())])
        asked = [person.tenant, person.family, person.user, sealed]
        if not value_of(connection, "select api.begin_second_factor(%s, %s, %s, %s)", asked):
            raise RefusalError("has_second_factor", "there is a second factor already: remove it first")
    uri = pyotp.TOTP(secret).provisioning_uri(name=f"{email} ({person.tenant})", issuer_name="ValueVerse")
    return {"secret": secret, "uri": uri}


def confirm(settings: Settings, person: Person, code: str, request: str) -> list[str]:
    """Recovery codes, shown this once: the secret counts from now on.

    Raises:
        RefusalError: ``wrong_code``; what opens the secret refuses.
    """
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    with connect(settings, "api") as connection:
        step = _step_of(settings, connection, person.tenant, person.user, code)
        asked = [person.tenant, person.family, person.user, step, [digest(one) for one in codes], request]
        query = "select api.confirm_second_factor(%s, %s, %s, %s, %s, %s)"
        if step is None or not value_of(connection, query, asked):
            raise RefusalError("wrong_code", "this is not the code that the app shows now", "code")
    return codes


def is_code(settings: Settings, tenant: str, user: str, code: str, request: str) -> bool:
    """Whether a code of the app, or a recovery code, is right; each is once.

    Raises:
        RefusalError: what opens the secret refuses.
    """
    with connect(settings, "api") as connection:
        if not _CODE.fullmatch(code):
            asked = [tenant, user, digest(_plain(code)), request]
            return bool(value_of(connection, "select api.use_recovery_code(%s, %s, %s, %s)", asked))
        step = _step_of(settings, connection, tenant, user, code)
        return step is not None and bool(value_of(connection, "select api.use_code(%s, %s, %s)", [tenant, user, step]))


def remove(settings: Settings, person: Person, code: str, request: str) -> None:
    """Ask for no code any more.

    Raises:
        RefusalError: ``wrong_code``; what opens the secret refuses.
    """
    right = is_code(settings, person.tenant, person.user, code, request)
    with connect(settings, "api") as connection:
        asked = [person.tenant, person.family, person.user, request]
        if not right or not value_of(connection, "select api.remove_second_factor(%s, %s, %s, %s)", asked):
            raise RefusalError(
                "wrong_code", "this is neither the code that the app shows now nor a recovery code", "code"
            )


def _step_of(settings: Settings, connection: psycopg.Connection[Any], tenant: str, user: str, code: str) -> int | None:
    """The step of time whose code it is, now or beside it; None: of none, or there is no secret."""
    row = row_of(connection, "select secret from api.second_factor(%s, %s)", [tenant, user])
    if row is None or not _CODE.fullmatch(code):
        return None
    (secret,) = own_keys(settings, connection).open([(_cell(tenant, user), bytes(row["secret"]))])
    if secret is None:
        return None
    totp, now = pyotp.TOTP(secret.decode()), int(time.time()) // _STEP
    # All are compared, so that the time does not show which.
    found = [
        step for step in range(now - _DRIFT, now + _DRIFT + 1) if hmac.compare_digest(totp.generate_otp(step), code)
    ]
    return found[-1] if found else None


def _cell(tenant: str, user: str) -> Cell:
    return Cell(tenant, "", "auth.user_account", "totp_secret", (user,))


def _recovery_code() -> str:
    """20 letters of 31, some 99 bits, without those that look alike."""
    return "".join(secrets.choice(_LETTERS) for _ in range(20))


def _plain(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def shown(code: str) -> str:
    """A recovery code as people read it."""
    return "-".join(code[place : place + 5] for place in range(0, 20, 5))
