"""Attacks on tokens, cursors, parameters and headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from serving_api.cursors import Cursors
from serving_api.problems import Problem
from tests.support.serving import Api, assert_problem, bearer, without
from valueverse.platform.access.signing_keys import OVERLAP, KeyRing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": "valueverse", "aud": "valueverse-api", "sub": "aaaaaaaaaaaa", "client_id": "aaaaaaaaaaaa",
        "tenant": "acme",
        "scope": "billing:read", "sid": str(uuid.uuid4()), "jti": str(uuid.uuid4()), "iat": now, "nbf": now,
        "exp": now + 300,
    }  # fmt: skip
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def signed(
    api: Api, header: dict[str, Any] | None = None, key: Any = None, algorithm: str = "RS256", **changes: Any
) -> str:
    signer = api.app.state.service.ring.signer()
    headers = {"kid": signer.kid, "typ": "at+jwt"} | (header or {})
    return jwt.encode(claims(**changes), key or signer.private, algorithm=algorithm, headers=headers)


async def refused(api: Api, token: str) -> None:
    for path in ("/v1/invoices", "/v1/invoices/acme-000001"):
        answer = await api.client.get(path, headers=bearer(token))
        assert_problem(answer, 401, "invalid-token")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_made_as_ours_are_is_taken(api: Api) -> None:
    assert (await api.client.get("/v1/invoices", headers=bearer(signed(api)))).status_code == 200


async def test_alg_none_is_refused(api: Api) -> None:
    kid = api.app.state.service.ring.signer().kid
    for algorithm in ("none", "None", "NONE", ""):
        await refused(api, f"{encoded({'alg': algorithm, 'kid': kid, 'typ': 'at+jwt'})}.{encoded(claims())}.")


async def test_hs256_signed_with_our_public_key_is_refused(api: Api) -> None:
    signer = api.app.state.service.ring.signer()
    pem = signer.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = signer.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{encoded({'alg': 'HS256', 'kid': signer.kid, 'typ': 'at+jwt'})}.{encoded(claims())}"
    for secret in (pem, pem.rstrip(), der):
        mac = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
        await refused(api, f"{signing_input}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_another_algorithm_with_our_own_key_is_refused(api: Api, algorithm: str) -> None:
    await refused(api, signed(api, algorithm=algorithm))


@pytest.mark.parametrize(
    "header",
    [{"kid": "unknown"}, {"kid": "../../etc/passwd"}, {"kid": "' or 1=1 --"}, {"kid": ""}, {"typ": "JWT"},
    {"typ": "at+JWT"},
     {"typ": "application/at+jwt"}, {"crit": ["exp"]}],
)  # fmt: skip
async def test_a_wrong_header_is_refused(api: Api, header: dict[str, Any]) -> None:
    await refused(api, signed(api, header))


async def test_a_strangers_key_is_refused_wherever_the_header_says_it_stands(api: Api) -> None:
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))
    for header in (
        {},
        {"jwk": jwk},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/c.pem"},
    ):
        await refused(api, signed(api, header, stranger))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"}, {"iss": ...}, {"aud": "other"}, {"aud": ...}, {"aud": ["other"]}, {"exp": 1},
        {"exp": ...},
        {"exp": "tomorrow"}, {"nbf": 4_000_000_000}, {"nbf": ...}, {"iat": 4_000_000_000}, {"iat": ...},
        {"sub": ...}, {"jti": ...},
        {"tenant": ...}, {"tenant": "*"}, {"tenant": ["acme"]}, {"tenant": "acme' or 1=1"}, {"tenant": ""},
        {"sid": "x"},
        {"sid": ...}, {"scope": ...}, {"exp": 10**400},
    ],
)  # fmt: skip
async def test_a_wrong_claim_is_refused(api: Api, changes: dict[str, Any]) -> None:
    await refused(api, signed(api, **changes))


class _Tomorrow(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=1)


async def test_an_expired_token_is_refused_although_it_was_taken_before(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(api)
    assert (await api.client.get("/v1/customers", headers=bearer(token))).status_code == 200
    tomorrow = time.time() + 86_400
    monkeypatch.setattr("serving_api.security.tokens.time", SimpleNamespace(time=lambda: tomorrow))
    monkeypatch.setattr("jwt.api_jwt.datetime", _Tomorrow)
    await refused(api, token)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_changed_token_is_refused(api: Api, place: int) -> None:
    parts = (await api.sign_in("acme"))["access_token"].split(".")
    letter = parts[place][10]
    parts[place] = f"{parts[place][:10]}{'A' if letter != 'A' else 'B'}{parts[place][11:]}"
    await refused(api, ".".join(parts))


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_token_whose_bytes_are_written_in_another_way_is_refused(api: Api, place: int) -> None:
    """Twins of a good token: padding, bits that the last letter has too many, letters that a decoder may skip."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = signed(api, sub="a" * 12, client_id="twins")
    parts = token.split(".")
    part = parts[place]
    spare = {0: 0, 2: 4, 3: 2}[len(part) % 4]
    last = letters.index(part[-1])
    twins = [part + "=", part + "==", f"{part[:9]}\n{part[9:]}", f"{part[:9]}!{part[9:]}"]
    twins += [part[:-1] + letters[last + 1]] if spare else []
    for twin in twins:
        await refused(api, ".".join([*parts[:place], twin, *parts[place + 1 :]]))
    assert (await api.client.get("/v1/invoices", headers=bearer(token))).status_code == 200


async def test_a_token_is_good_for_its_five_minutes_and_not_a_second_longer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    token = signed(api, iat=now, nbf=now, exp=now + 300)
    for seconds, good in ((0, True), (299, True), (300, False), (301, False)):
        monkeypatch.setattr("serving_api.security.tokens.time", SimpleNamespace(time=lambda at=now + seconds: at))
        monkeypatch.setattr("jwt.api_jwt.datetime", _clock_at(now + seconds))
        for one in (token, signed(api, iat=now, nbf=now, exp=now + 300)):
            answer = await api.client.get("/v1/customers", headers=bearer(one))
            assert answer.status_code == (200 if good else 401), seconds


def _clock_at(instant: int) -> type[datetime]:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.fromtimestamp(instant, tz)

    return Moved


async def test_a_token_that_would_live_longer_than_ours_do_is_refused(api: Api) -> None:
    now = int(time.time())
    await refused(api, signed(api, iat=now, exp=now + 301))
    await refused(api, signed(api, iat=now - 10, exp=now + 291))


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer x", "Bearer a.b.c", "Bearer " + "a" * 9000, "Token x"],
)
async def test_a_header_without_a_token_is_refused(api: Api, value: str) -> None:
    assert_problem(await api.client.get("/v1/invoices", headers={"Authorization": value}), 401, "invalid-token")


async def test_two_authorization_headers_are_refused(api: Api) -> None:
    good = f"Bearer {signed(api)}"
    answer = await api.client.get("/v1/invoices", headers=[("Authorization", good), ("Authorization", good)])
    assert_problem(answer, 401, "invalid-token")


async def test_an_api_key_or_refresh_token_is_no_access_token(api: Api) -> None:
    session = await api.sign_in("acme")
    await refused(api, api.keys["acme"])
    await refused(api, session["refresh_token"])
    answer = await api.client.post("/v1/sessions", headers=bearer(session["access_token"]))
    assert_problem(answer, 401, "invalid-credentials")


async def test_a_superseded_key_verifies_for_the_overlap_and_no_longer(tmp_path: Path) -> None:
    now = [1_000_000.0]
    ring = KeyRing(tmp_path / "keys", clock=lambda: now[0])
    other_worker = KeyRing(tmp_path / "keys", clock=lambda: now[0])
    old = ring.signer().kid
    assert other_worker.signer().kid == old
    now[0] += 10
    new = ring.rotate()
    assert ring.signer().kid == new != old
    assert other_worker.verifier(new) is not None
    assert len(ring.jwks()["keys"]) == 2
    now[0] += OVERLAP - 1
    assert ring.verifier(old) is not None
    now[0] += 40
    assert ring.verifier(old) is None
    assert [path.name for path in (tmp_path / "keys").glob("*.pem")] == ["1000010.pem"]
    now[0] += 91 * 86_400
    assert ring.signer().kid != new


def test_private_keys_are_their_owners_alone(tmp_path: Path) -> None:
    from valueverse.errors import RefusalError

    KeyRing(tmp_path / "keys").signer()
    (file,) = (tmp_path / "keys").glob("*.pem")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.chmod(0o644)
    with pytest.raises(RefusalError, match="chmod 600"):
        KeyRing(tmp_path / "keys").signer()
    file.chmod(0o600)
    file.write_text("nonsense")
    with pytest.raises(RefusalError, match="no readable key"):
        KeyRing(tmp_path / "keys").signer()


async def test_a_cursor_is_bound_to_tenant_list_and_filters(api: Api) -> None:
    cursor = (await api.get("acme", "/v1/invoices", limit=1)).json()["next_cursor"]
    assert (await api.get("acme", "/v1/invoices", limit=1, cursor=cursor)).status_code == 200
    for tenant, path, query in (
        ("birch", "/v1/invoices", {}),
        ("acme", "/v1/customers", {}),
        ("acme", "/v1/invoices", {"status": "draft"}),
        ("acme", "/v1/customers/customer%20zz-acme-only/usage", {}),
    ):
        assert_problem(await api.get(tenant, path, cursor=cursor, **query), 400, "invalid-cursor")


async def test_a_tampered_cursor_is_refused(api: Api) -> None:
    cursor = (await api.get("acme", "/v1/invoices", limit=1)).json()["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    forged = [cursor[:-1], cursor + "A", cursor + "=", cursor.swapcase(), "", "!", "x" * 2048, "é",
              base64.urlsafe_b64encode(raw[:-3] + b'9"]').decode().rstrip("="),
              base64.urlsafe_b64encode(b"\0" * 16 + raw[16:]).decode().rstrip("=")]  # fmt: skip
    for one in forged:
        assert_problem(await api.get("acme", "/v1/invoices", cursor=one), 400, "invalid-cursor")


def test_a_cursor_needs_its_secret() -> None:
    scope = ("invoices", "acme", None)
    cursor = Cursors("one").make(scope, ["2023-11-01", "x"])
    assert Cursors("one").read(scope, cursor, 2) == ["2023-11-01", "x"]
    with pytest.raises(Problem):
        Cursors("two").read(scope, cursor, 2)


INJECTIONS = [
    "'",
    "' or '1'='1",
    "'; drop table billing.invoice; --",
    "\\",
    "%",
    "_",
    "$1",
    "{{7*7}}",
    "') union select 1 --",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_sql_in_a_parameter_is_only_text(api: Api, text: str) -> None:
    assert (await api.get("acme", "/v1/invoices", customer=text)).json()["data"] == []
    assert (await api.get("acme", "/v1/customers/customer%20zz-acme-only/usage", meter=text)).json()["data"] == []
    for name in ("status", "currency", "period_from", "limit"):
        assert_problem(await api.get("acme", "/v1/invoices", **{name: text}), 422, "invalid-request")
    answer = await api.client.post("/v1/sessions", json={"api_key": f"vv_aaaaaaaaaaaa_{text}"})
    assert_problem(answer, 401, "invalid-credentials")
    assert len((await api.get("acme", "/v1/invoices")).json()["data"]) == 2


async def test_a_missing_and_a_forbidden_invoice_answer_alike(api: Api) -> None:
    missing = assert_problem(await api.get("acme", "/v1/invoices/acme-999999"), 404, "not-found")
    forbidden = assert_problem(await api.get("acme", "/v1/invoices/birch-000001"), 404, "not-found")
    assert without(missing) == without(forbidden)


@pytest.mark.parametrize(
    "name",
    ["X-Tenant", "X-Tenant-Id", "X-Forwarded-User", "Tenant", "X-Original-URL", "X-HTTP-Method-Override"],
)
async def test_no_header_chooses_the_tenant(api: Api, name: str) -> None:
    answer = await api.get("acme", "/v1/invoices", headers={name: "birch"})
    assert {row["number"] for row in answer.json()["data"]} == {"acme-000001", "acme-000002"}
