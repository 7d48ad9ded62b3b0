"""A sealed value opens where it was sealed, whole, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from valueverse.errors import RefusalError
from valueverse.platform.protection import Cell, opened, seal

KEY = bytes(range(32))
CELL = Cell("acme", "c1", "vault.instrument", "details", ("tok_1",))
VALUE = b"Ada Lovelace"


def test_a_sealed_value_opens_and_shows_nothing_of_itself() -> None:
    sealed = seal(KEY, 1, CELL, VALUE)
    assert opened(KEY, CELL, sealed) == VALUE
    assert VALUE not in sealed
    assert len({seal(KEY, 1, CELL, VALUE) for _ in range(1_000)}) == 1_000, "a nonce was used twice"


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, tenant="birch"),
        replace(CELL, subject="c2"),
        replace(CELL, subject=""),
        replace(CELL, table="vault.other"),
        replace(CELL, column="number"),
        replace(CELL, row=("tok_2",)),
        replace(CELL, row=("tok_1", "")),
        replace(CELL, row=("tok_", "1")),
        replace(CELL, tenant="acmec1", subject=""),
        replace(CELL, tenant="acm", subject="ec1"),
    ],
    ids=str,
)
def test_a_value_moved_to_another_tenant_customer_table_column_or_row_is_refused(other: Cell) -> None:
    with pytest.raises(RefusalError, match="damaged, or was sealed for another place"):
        opened(KEY, other, seal(KEY, 1, CELL, VALUE))


def test_every_flipped_bit_is_refused() -> None:
    sealed = seal(KEY, 1, CELL, VALUE)
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RefusalError):
            opened(KEY, CELL, bytes(flipped))


def test_every_truncation_and_every_added_byte_is_refused() -> None:
    sealed = seal(KEY, 1, CELL, VALUE)
    for part in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", b"\0" + sealed):
        with pytest.raises(RefusalError):
            opened(KEY, CELL, part)


def test_a_value_that_names_another_version_of_the_key_is_refused() -> None:
    sealed = seal(KEY, 2, CELL, VALUE)
    with pytest.raises(RefusalError):
        opened(KEY, CELL, sealed[:1] + (1).to_bytes(4, "big") + sealed[5:])


def test_the_message_of_a_refusal_names_neither_value_nor_row() -> None:
    with pytest.raises(RefusalError) as refused:
        opened(KEY, CELL, seal(bytes(32), 1, CELL, VALUE))
    assert not {"Ada", "tok_1", "c1"} & set(refused.value.message.split())


_TEXT = st.text(max_size=8)


@given(
    st.tuples(_TEXT, _TEXT, _TEXT, _TEXT, st.lists(_TEXT, max_size=3)),
    st.tuples(_TEXT, _TEXT, _TEXT, _TEXT, st.lists(_TEXT, max_size=3)),
)
def test_a_value_opens_in_a_place_exactly_when_it_is_the_place(
    one: tuple[str, str, str, str, list[str]], other: tuple[str, str, str, str, list[str]]
) -> None:
    first, second = (Cell(*place[:4], tuple(place[4])) for place in (one, other))
    sealed = seal(KEY, 1, first, VALUE)
    if first == second:
        assert opened(KEY, second, sealed) == VALUE
    else:
        with pytest.raises(RefusalError):
            opened(KEY, second, sealed)


def test_the_cipher_is_aes_256_gcm_as_nist_states_it() -> None:
    """Test case 16 of the specification of GCM (McGrew and Viega), key of 256 bits with associated data."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    assert AESGCM(key).encrypt(nonce, plain, associated).hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )


def test_keys_of_another_length_are_no_keys() -> None:
    with pytest.raises(ValueError, match="AESGCM key"):
        seal(os.urandom(31), 1, CELL, VALUE)
