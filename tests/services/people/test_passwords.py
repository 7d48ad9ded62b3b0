"""What a password must be, and its hash."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from argon2 import PasswordHasher

from valueverse.errors import RefusalError
from valueverse.services.people import passwords
from valueverse.services.people.addresses import normal_address

GOOD = "anchor violet teaspoon 82"


@pytest.mark.parametrize(
    "password",
    [
        "", "elevenchars", "x" * 129, "password12345", "qwertyuiop123456", "111111111111111", "abcdefghijklmnop",
        "northwind-ai-2026", "ada.lovelace1815", "iloveyouiloveyou",
    ],
)  # fmt: skip
def test_a_short_or_well_known_password_is_refused(password: str) -> None:
    with pytest.raises(RefusalError, match=r"letters|guessed early") as refused:
        passwords.check_password(password, ("ada.lovelace@example.com", "northwind-ai"), "body.password")
    assert (refused.value.code, refused.value.path) == ("weak_password", "body.password")
    assert not password or password not in refused.value.message


@pytest.mark.parametrize("password", [GOOD, "Ünïcödé größer als sonst 七", "vT9#qLw2!xRz"])
def test_a_good_password_is_taken_whatever_its_letters(password: str) -> None:
    passwords.check_password(password)
    hashed = passwords.hash_password(password)
    assert passwords.is_password(unicodedata.normalize("NFD", password), hashed)
    assert not passwords.is_password(password + " ", hashed)
    assert not passwords.is_password(password.swapcase(), hashed)


def test_a_hash_has_owasps_parameters_and_a_salt_of_its_own() -> None:
    first, second = passwords.hash_password(GOOD), passwords.hash_password(GOOD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert not passwords.needs_rehash(first)
    for old in (
        PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1),
        PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1),
    ):
        assert passwords.needs_rehash(old.hash(GOOD))
        assert passwords.is_password(GOOD, old.hash(GOOD))


@pytest.mark.parametrize("hashed", [None, "", "nonsense", "$2b$12$abcdefghijklmnopqrstuv"])
def test_without_a_good_hash_nothing_opens(hashed: str | None) -> None:
    for password in ("", GOOD):
        assert not passwords.is_password(password, hashed)


def test_the_same_work_is_done_where_there_is_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []

    class Counting:
        def verify(self, hashed: str, password: str) -> bool:
            judged.append(hashed)
            return hasher.verify(hashed, password)

        def hash(self, password: str) -> str:
            return hasher.hash(password)

    hasher: Any = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", Counting())
    passwords.is_password(GOOD, None)
    passwords.is_password(GOOD, passwords.hash_password("another"))
    assert [one.rpartition("$")[0].rpartition("$")[0] for one in judged] == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("a.b+c@example.com", "a.b+c@example.com"),
        ("x@BÜCHER.example", "x@bücher.example"),
    ],
)
def test_an_address_has_one_form(text: str, form: str) -> None:
    assert normal_address(text) == form


@pytest.mark.parametrize(
    "text",
    ["", "ada", "@example.com", "a@b@c.com", "a@example.com\nBcc: x@y.com", "a b@example.com", "a" * 300 + "@x.com"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RefusalError) as refused:
        normal_address(text)
    assert refused.value.code == "bad_email"
