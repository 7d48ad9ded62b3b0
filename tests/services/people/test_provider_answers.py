"""What an identity provider answers, from a hostile one: forged tokens, documents that lie, answers that never end."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from valueverse.errors import RefusalError
from valueverse.platform.settings import Settings
from valueverse.services.people.id_tokens import is_signed
from valueverse.services.people.provider import Provider
from valueverse.services.people.provider_client import ASKED_AGAIN_AFTER, AT_ONCE, ProviderClient
from valueverse.services.people.single_sign_on import Return, SingleSignOn, nonce_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.security]
VERIFIER = "v" * 64
DEEP = b"[" * 200_000
"""Nested more deeply than parsers of JSON can follow."""
BACK = Return("code", None, VERIFIER)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Hostile:
    """A provider whose answers a test chooses.

    Attributes:
        issuer: its address.
        key: that its document names.
        answers: documents and tokens by path.
        asked: paths, as they were asked for.
    """

    issuer: str
    key: rsa.RSAPrivateKey
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def provider(self, tenant: str = "acme") -> Provider:
        """As the tenant states it."""
        return Provider(tenant, self.issuer, "valueverse", "of-the-provider-s3cret", "idp_1")

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Of a token that is right, but for what is changed; None leaves a claim out."""
        now = int(time.time())
        right = {"iss": self.issuer, "aud": "valueverse", "sub": "ada", "iat": now, "exp": now + 60}
        right |= {"nonce": nonce_of(VERIFIER), "email": "ada@example.com", "email_verified": True}
        return {name: value for name, value in (right | changed).items() if value is not None}

    def token(self, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """An ID token of the provider's key."""
        return jwt.encode(self.claims(**changed), self.key, "RS256", {"kid": "k1", **(headers or {})})

    def give(self, token: object) -> None:
        """Answer codes with this ID token."""
        self.answers["/token"] = {"access_token": "a", "token_type": "Bearer", "id_token": token}


def public(key: rsa.RSAPrivateKey, **more: Any) -> dict[str, Any]:
    """A key as a document states it."""
    stated: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**stated, "kid": "k1", "use": "sig", "alg": "RS256", **more}


@contextmanager
def serving(hostile: Hostile) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hostile.asked.append(self.path)
            answer = hostile.answers.get(self.path)
            if answer is None:
                hostile.gate.wait(60)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hostile.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield
    hostile.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def hostile(rsa_key: rsa.RSAPrivateKey) -> Iterator[Hostile]:
    made = Hostile("", rsa_key)
    with serving(made):
        at = {name: f"{made.issuer}/{path}" for name, path in (
            ("authorization_endpoint", "auth"), ("token_endpoint", "token"), ("jwks_uri", "keys"),
            ("userinfo_endpoint", "me"))}  # fmt: skip
        made.answers = {
            "/.well-known/openid-configuration": {
                "issuer": made.issuer,
                "code_challenge_methods_supported": ["S256"],
                **at,
            },
            "/keys": {"keys": [public(rsa_key)]},
        }
        made.give(made.token())
        yield made


@pytest.fixture
def single(tmp_path: Any) -> SingleSignOn:
    return SingleSignOn(Settings(home=tmp_path, oidc_private_addresses=True))


def signed(one: Hostile, payload: bytes) -> str:
    """A token of the provider's key that states this."""
    return jwt.PyJWS().encode(payload, one.key, "RS256", {"kid": "k1"})


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token that no library would make."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed_by_public_key(one: Hostile) -> str:
    """HS256 with the text of the public key, which everybody has."""
    import hashlib
    import hmac

    unsigned = by_hand({"alg": "HS256", "kid": "k1"}, one.claims()).rpartition(".")[0]
    mac = hmac.digest(pem(one.key), unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def of_an_own_key(one: Hostile) -> str:
    """Signed by a key that the token itself brings along."""
    own = rsa.generate_private_key(65537, 2048)
    brought = {"jwk": public(own), "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"}
    return jwt.encode(one.claims(), own, "RS256", {"kid": "k1", **brought})


FORGED: dict[str, Callable[[Hostile], object]] = {
    "no signature": lambda one: by_hand({"alg": "none", "kid": "k1"}, one.claims()),
    "no signature, in capitals": lambda one: by_hand({"alg": "NONE", "kid": "k1"}, one.claims()),
    "signed by the text of the public key": signed_by_public_key,
    "signed by a key that it brings along": of_an_own_key,
    "another algorithm": lambda one: jwt.encode(one.claims(), one.key, "PS256", {"kid": "k1"}),
    "an unknown key": lambda one: one.token(headers={"kid": "../../k1"}),
    "no key named": lambda one: jwt.encode(one.claims(), one.key, "RS256"),
    "critical extensions": lambda one: one.token(headers={"crit": ["b64"], "b64": True}),
    "changed after it was signed": lambda one: one.token()[:-6] + "AAAAAA",
    "another issuer": lambda one: one.token(iss="https://another.example"),
    "another client": lambda one: one.token(aud="another"),
    "another client beside us": lambda one: one.token(aud=["valueverse", "another"], azp="valueverse"),
    "given to another client": lambda one: one.token(azp="another"),
    "expired": lambda one: one.token(exp=int(time.time()) - 120),
    "never expires": lambda one: one.token(exp=None),
    "of the future": lambda one: one.token(iat=int(time.time()) + 3600),
    "no subject": lambda one: one.token(sub=None),
    "an empty subject": lambda one: one.token(sub=""),
    "a subject that nothing can hold": lambda one: one.token(sub="a\x00b"),
    "another nonce": lambda one: one.token(nonce=nonce_of("w" * 64)),
    "no nonce": lambda one: one.token(nonce=None),
    "no token": lambda one: None,
    "no text": lambda one: {"alg": "RS256"},
    "no JWT": lambda one: "a.b.c",
    "a header without an end": lambda one: f"{base64.urlsafe_b64encode(DEEP[:9_000]).decode().rstrip('=')}.e30.AAAA",
    "claims without an end": lambda one: signed(one, DEEP[:6_000]),
    "half of a surrogate pair": lambda one: one.token(sub="\ud800"),
    "a huge one": lambda one: one.token(more="x" * 20_000),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_token_signs_nobody_in(hostile: Hostile, single: SingleSignOn, what: str) -> None:
    assert await single.subject(hostile.provider(), BACK) == ("ada", "ada@example.com")
    hostile.give(FORGED[what](hostile))
    with pytest.raises(RefusalError) as refused:
        await single.subject(hostile.provider(), BACK)
    assert refused.value.code == "bad_id_token"
    assert all(path.startswith(("/.well", "/token", "/keys")) for path in hostile.asked)


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_counts_where_the_provider_has_verified_it(
    hostile: Hostile, single: SingleSignOn, verified: object
) -> None:
    hostile.give(hostile.token(email_verified=verified))
    assert await single.subject(hostile.provider(), BACK) == ("ada", None)


async def test_claims_about_somebody_else_are_not_taken(hostile: Hostile, single: SingleSignOn) -> None:
    """The answer about a user names its subject (Core 1.0, section 5.3.4)."""
    hostile.give(hostile.token(email=None, email_verified=None))
    hostile.answers["/me"] = {"sub": "bob", "email": "bob@example.com", "email_verified": True}
    assert await single.subject(hostile.provider(), BACK) == ("ada", None)
    hostile.answers["/me"]["sub"] = "ada"
    assert await single.subject(hostile.provider(), BACK) == ("ada", "bob@example.com")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": "https://another.example"}, "another issuer"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not take code challenges by S256"),
        ({"code_challenge_methods_supported": None}, "names 127.0.0.1 in VALUEVERSE_OIDC_PKCE_UNSTATED"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "RS256"),
        ({"token_endpoint": "file:///etc/passwd"}, "no https address"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "no https address"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"jwks_uri": 7}, "jwks_uri"),
    ],
)
async def test_a_document_that_lies_or_asks_for_less_is_refused(
    hostile: Hostile, single: SingleSignOn, changed: dict[str, object], reason: str
) -> None:
    hostile.answers["/.well-known/openid-configuration"] |= changed
    with pytest.raises(RefusalError, match=reason) as refused:
        await single.begin(hostile.provider(), "app")
    assert refused.value.code == "bad_provider"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"keys": 1}', b"{" + b" " * 300_000 + b"}", DEEP])
async def test_an_answer_that_is_none_is_refused_whatever_its_length(hostile: Hostile, body: bytes) -> None:
    hostile.answers["/keys"] = body
    client = ProviderClient(Settings(oidc_private_addresses=True))
    with pytest.raises(RefusalError) as refused:
        await client.check("acme", hostile.issuer)
    assert refused.value.code == "bad_provider"


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token", "/me"])
async def test_no_answer_of_a_provider_is_more_than_a_refusal(
    hostile: Hostile, single: SingleSignOn, path: str
) -> None:
    """A body of brackets ended in an error of ours, where the documentation promises 503 for its own tenant alone."""
    hostile.give(hostile.token(email=None, email_verified=None))
    for body in (DEEP, b'{"id_token":' + DEEP, b"[1]", b"a=b", b"\xff"):
        hostile.answers[path] = body
        single.client._known.clear()
        with pytest.raises(RefusalError) as refused:
            await single.subject(hostile.provider(), BACK)
        assert refused.value.code == "bad_provider"


@pytest.mark.parametrize(
    "changed", [{"access_token": "a\nb"}, {"access_token": "\u00e4"}, {"access_token": ""}, {"expires_in": "soon"}]
)
async def test_tokens_that_cannot_be_used_are_refused(
    hostile: Hostile, single: SingleSignOn, changed: dict[str, object]
) -> None:
    hostile.give(hostile.token(email=None, email_verified=None))
    hostile.answers["/token"] |= changed
    with pytest.raises(RefusalError) as refused:
        await single.subject(hostile.provider(), BACK)
    assert refused.value.code == "bad_provider"


async def test_keys_that_sign_nothing_are_left_out(hostile: Hostile, single: SingleSignOn) -> None:
    """A shared secret, a key that encrypts, a private key and one that is broken."""
    right = hostile.answers["/keys"]["keys"][0]
    others = [{"kty": "oct", "k": "AAAA"}, right | {"use": "enc"}, right | {"d": "AAAA"}, right | {"n": 7}]
    hostile.answers["/keys"] = {"keys": ["no key", *({**one, "kid": "k1"} for one in others)]}
    with pytest.raises(RefusalError, match="no such key"):
        await single.subject(hostile.provider(), BACK)


async def test_no_private_address_is_asked_unless_it_is_allowed(hostile: Hostile) -> None:
    """The address is judged on connecting, whatever the name; and http is none of a provider's."""
    for issuer in (hostile.issuer.replace("http:", "https:"), "https://localhost:1", "https://[::ffff:127.0.0.1]:1"):
        with pytest.raises(RefusalError, match="not a public one"):
            await ProviderClient(Settings()).check("acme", issuer)
    for issuer in (hostile.issuer, "https://ada:x@host", "https://host?a", "https://host#a", "ftp://host", "", "x"):
        with pytest.raises(RefusalError, match="is no issuer"):
            await ProviderClient(Settings()).check("acme", issuer)
    for issuer in (f"https://{'a' * 70}.example", "https://a..example"):
        with pytest.raises(RefusalError, match="the connection failed"):
            await ProviderClient(Settings()).check("acme", issuer)
    assert hostile.asked == []


async def test_what_a_provider_says_is_remembered_for_some_minutes(hostile: Hostile) -> None:
    now = [0.0]
    client = ProviderClient(Settings(oidc_private_addresses=True), clock=lambda: now[0])
    known, unknown = hostile.token(), hostile.token(headers={"kid": "unknown"})
    for _ in range(3):
        await client.key("acme", hostile.issuer, known)
        with pytest.raises(RefusalError):
            await client.key("acme", hostile.issuer, unknown)
    assert len(hostile.asked) == 2
    await client.key("birch", hostile.issuer, known)
    assert len(hostile.asked) == 4, "what is remembered of one tenant's provider is not taken for another's"
    now[0] += 600
    await client.key("acme", hostile.issuer, known)
    assert len(hostile.asked) == 6


async def test_a_key_that_is_replaced_under_its_name_is_asked_for_and_forged_tokens_ask_no_more_often(
    hostile: Hostile,
) -> None:
    now = [0.0]
    client = ProviderClient(Settings(oidc_private_addresses=True), clock=lambda: now[0])
    before = hostile.token()
    first = await client.key("acme", hostile.issuer, before)
    hostile.key = rsa.generate_private_key(65537, 2048)
    hostile.answers["/keys"] = {"keys": [public(hostile.key)]}
    now[0] += ASKED_AGAIN_AFTER
    after = hostile.token()
    second = await client.key("acme", hostile.issuer, after)
    assert [is_signed(after, key) for key in (first, second)] == [False, True]
    assert hostile.asked.count("/keys") == 2
    for _ in range(5):
        # The key that is there now: whoever verifies by it refuses the token.
        assert not is_signed(before, await client.key("acme", hostile.issuer, before))
    assert hostile.asked.count("/keys") == 2
    now[0] += ASKED_AGAIN_AFTER
    for token in (before, before, after):
        await client.key("acme", hostile.issuer, token)
    assert hostile.asked.count("/keys") == 3


async def test_a_provider_that_is_silent_about_challenges_is_taken_where_its_host_is_named(hostile: Hostile) -> None:
    del hostile.answers["/.well-known/openid-configuration"]["code_challenge_methods_supported"]
    for hosts in ("login.microsoftonline.com", "", "127.0.0.1.example"):
        with pytest.raises(RefusalError, match="does not say that it takes code challenges"):
            await ProviderClient(Settings(oidc_private_addresses=True, oidc_pkce_unstated=hosts)).check(
                "acme", hostile.issuer
            )
    await ProviderClient(Settings(oidc_private_addresses=True, oidc_pkce_unstated="x, 127.0.0.1")).check(
        "acme", hostile.issuer
    )


async def test_a_provider_that_never_answers_costs_its_own_tenant_alone(hostile: Hostile) -> None:
    """A few requests wait for it, for some seconds; more are refused at once; another tenant's go on meanwhile."""
    import anyio

    client = ProviderClient(Settings(oidc_private_addresses=True), seconds=1.5)
    slow = Hostile("", hostile.key)
    refused: list[str] = []

    async def ask() -> None:
        try:
            await client.metadata("acme", slow.issuer)
        except RefusalError as refusal:
            refused.append(refusal.message)

    with serving(slow):
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE + 3):
                group.start_soon(ask)
            await anyio.sleep(0.3)
            assert len(refused) == 3
            await client.metadata("birch", hostile.issuer)
            assert len(refused) == 3, "the other tenant's answer came while acme's provider was silent"
    assert sum("no answer within" in one for one in refused) == AT_ONCE
    hostile.answers["/.well-known/openid-configuration"]["issuer"] = hostile.issuer
    await client.metadata("acme", hostile.issuer)
