"""Every way of rewriting a log is found, by the layer that is named."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from valueverse.audit import (
    Bundle,
    Checkpoint,
    complete_subtrees,
    entry_bytes,
    genesis,
    leaf_hash,
    link,
    read_checkpoint,
    root_hash,
    sign_checkpoint,
    signature_of,
    verify_bundle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valueverse.audit import Node

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "valueverse/audit/acme"


def _entry(number: int, tenant: str = "acme", text: str = "invoice") -> bytes:
    fields = {"action": "invoice.finalised", "actor": "system", "at": f"2026-01-01T00:00:{number:02}Z"}
    return entry_bytes(fields | {"digest": "", "object": f"{text}-{number}", "request": "", "tenant": tenant})


def _chain(entries: Sequence[bytes], tenant: str = "acme") -> list[bytes]:
    found, before = [], genesis(tenant)
    for entry in entries:
        before = link(before, leaf_hash(entry))
        found.append(before)
    return found


def _note(entries: Sequence[bytes], origin: str = ORIGIN) -> str:
    root = root_hash([leaf_hash(entry) for entry in entries])
    return sign_checkpoint(Checkpoint(origin, len(entries), root), KEY)


ENTRIES = [_entry(number) for number in range(1, 8)]
WHOLE = Bundle("acme", ORIGIN, ENTRIES, _chain(ENTRIES), [_note(ENTRIES[:3]), _note(ENTRIES)])


def _changed(**values: Any) -> Bundle:
    return dataclasses.replace(WHOLE, **values)


def _with(entries: list[bytes]) -> Bundle:
    """A log rewritten by whoever owns the database: the whole chain is computed again."""
    return _changed(entries=entries, chain=_chain(entries))


def _edited() -> Bundle:
    return _changed(entries=[*ENTRIES[:2], _entry(33), *ENTRIES[3:]])


def _edited_with_chain() -> Bundle:
    return _with([*ENTRIES[:2], _entry(33), *ENTRIES[3:]])


def _truncated() -> Bundle:
    return _with(ENTRIES[:5])


def _middle_removed() -> Bundle:
    return _with([*ENTRIES[:2], *ENTRIES[3:]])


def _swapped() -> Bundle:
    return _with([ENTRIES[1], ENTRIES[0], *ENTRIES[2:]])


def _back_dated() -> Bundle:
    return _with([*ENTRIES[:1], _entry(0), *ENTRIES[1:]])


def _forked() -> Bundle:
    return _with([*ENTRIES[:4], *(_entry(number) for number in range(20, 25))])


def _restored_backup() -> Bundle:
    return _with([*ENTRIES[:5], _entry(40), _entry(41), _entry(42)])


def _spliced() -> Bundle:
    return _with([*ENTRIES[:3], _entry(4, "globex"), *ENTRIES[4:]])


def _unicode_twin() -> Bundle:
    name = "Müller"
    entries = [_entry(1, text=name), *ENTRIES[1:]]
    twin = [_entry(1, text=unicodedata.normalize("NFD", name)), *ENTRIES[1:]]
    return _changed(entries=twin, chain=_chain(twin), checkpoints=[_note(entries)])


def _not_canonical() -> Bundle:
    spaced = ENTRIES[0].replace(b'":"', b'": "')
    return _changed(entries=[spaced, *ENTRIES[1:]], chain=_chain([spaced, *ENTRIES[1:]]), checkpoints=[])


def _old_checkpoint_again() -> Bundle:
    return _changed(checkpoints=[_note(ENTRIES), _note(ENTRIES[:3])])


def _foreign_checkpoint() -> Bundle:
    return _changed(checkpoints=[_note(ENTRIES, "valueverse/audit/globex")])


NOTES = list(WHOLE.checkpoints)


def _file_gone() -> Bundle:
    return _changed(checkpoints=[], stored=NOTES)


def _file_shortened() -> Bundle:
    return _changed(checkpoints=NOTES[:1], stored=NOTES)


def _file_of_another_tenant() -> Bundle:
    return _changed(checkpoints=[_note(ENTRIES, "valueverse/audit/globex")], stored=NOTES)


def _file_and_last_entries_gone() -> Bundle:
    return dataclasses.replace(_truncated(), checkpoints=[], stored=NOTES)


def _file_shortened_with_the_entries() -> Bundle:
    return dataclasses.replace(_with(ENTRIES[:3]), checkpoints=NOTES[:1], stored=NOTES)


def _stored_notes_and_last_entries_gone() -> Bundle:
    return dataclasses.replace(_truncated(), stored=())


def _stored_note_forged() -> Bundle:
    other = Ed25519PrivateKey.generate()
    return _changed(stored=[*NOTES, sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), other)])


def _row_without_chain() -> Bundle:
    return _changed(chain=WHOLE.chain[:-1])


def _stored(entries: Sequence[bytes]) -> list[tuple[Node, bytes]]:
    return list(complete_subtrees([leaf_hash(entry) for entry in entries]))


def _node_changed() -> Bundle:
    node, found = _stored(ENTRIES)[1]
    return _changed(nodes=[_stored(ENTRIES)[0], (node, bytes(reversed(found))), *_stored(ENTRIES)[2:]])


def _node_removed() -> Bundle:
    return _changed(nodes=_stored(ENTRIES)[:-1])


def _node_added() -> Bundle:
    return _changed(nodes=[*_stored(ENTRIES), ((3, 0), bytes(32))])


def _nodes_swapped() -> Bundle:
    (one, left), (other, right), *rest = _stored(ENTRIES)
    return _changed(nodes=[(one, right), (other, left), *rest])


def _edited_with_chain_and_nodes() -> Bundle:
    return dataclasses.replace(_edited_with_chain(), nodes=_stored(_edited_with_chain().entries))


TAMPERED: dict[Callable[[], Bundle], set[str]] = {
    _edited: {"chain", "checkpoint"},
    _edited_with_chain: {"checkpoint"},
    _truncated: {"checkpoint"},
    _middle_removed: {"checkpoint"},
    _swapped: {"checkpoint"},
    _back_dated: {"checkpoint"},
    _forked: {"checkpoint"},
    _restored_backup: {"checkpoint"},
    _spliced: {"entry", "checkpoint"},
    _unicode_twin: {"checkpoint"},
    _not_canonical: {"entry"},
    _old_checkpoint_again: {"checkpoint"},
    _foreign_checkpoint: {"checkpoint"},
    _file_gone: {"checkpoint"},
    _file_shortened: {"checkpoint"},
    _file_of_another_tenant: {"checkpoint"},
    _file_and_last_entries_gone: {"checkpoint"},
    _file_shortened_with_the_entries: {"checkpoint"},
    _stored_notes_and_last_entries_gone: {"checkpoint"},
    _stored_note_forged: {"checkpoint"},
    _row_without_chain: {"chain"},
    _node_changed: {"tree"},
    _node_removed: {"tree"},
    _node_added: {"tree"},
    _nodes_swapped: {"tree"},
    _edited_with_chain_and_nodes: {"checkpoint"},
}


def test_an_untouched_log_holds() -> None:
    assert verify_bundle(WHOLE, KEY.public_key()) == []
    assert verify_bundle(_changed(nodes=_stored(ENTRIES), stored=NOTES), KEY.public_key()) == []
    assert verify_bundle(_changed(stored=NOTES[:1]), KEY.public_key()) == [], "stored after it is written outside"


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda one: one.__name__.strip("_"))
def test_tampering_is_found_by_the_layer_that_is_named(tamper: Callable[[], Bundle]) -> None:
    assert {one.layer for one in verify_bundle(tamper(), KEY.public_key())} == TAMPERED[tamper]


def test_a_checkpoint_of_another_key_is_none() -> None:
    other = Ed25519PrivateKey.generate().public_key()
    assert [one.layer for one in verify_bundle(WHOLE, other)] == ["checkpoint", "checkpoint"]


def test_the_chain_is_that_of_the_published_vector() -> None:
    assert genesis("aaaaaaaa-0000-0000-0000-000000000001").hex() == (
        "aa7b8842714f753b2151e227ca3ffbd783ee0013ced555da645dc192e84f3957"
    )


def test_the_checkpoint_is_that_of_the_published_vector() -> None:
    origin = "billing.example/audit/aaaaaaaa-0000-0000-0000-000000000001"
    root = bytes.fromhex("a76aa6d24f5481d716f25f9ef69cf500ab707b9d08e469532f2ec25dbf3723fc")
    assert signature_of(sign_checkpoint(Checkpoint(origin, 3, root), KEY)) == (
        "TaOQKSCnM/skgyrMjAH3PaPMZxwajwbPzuUlqGNoobdPe0IvJ6vtOafhM+2MBav93kR9g4BIaMRgG3pRcF3IIAPbjA0="
    )


def test_a_checkpoint_is_read_as_it_was_signed() -> None:
    note = _note(ENTRIES)
    assert read_checkpoint(note, KEY.public_key(), ORIGIN) == Checkpoint(
        ORIGIN, 7, root_hash([leaf_hash(one) for one in ENTRIES])
    )
    assert note.endswith(f"{signature_of(note)}\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n7\n", "\n6\n"),
        lambda note: note.replace("\n7\n", "\n07\n"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note + "and more\n",
        lambda note: note.replace("— ", "- "),
        lambda _note: "",
    ],
    ids=["another size", "size with a zero", "no empty line", "text behind", "another dash", "nothing"],
)
def test_a_checkpoint_with_any_other_byte_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=r"no checkpoint|no signature"):
        read_checkpoint(change(_note(ENTRIES)), KEY.public_key(), ORIGIN)


@pytest.mark.parametrize("fields", [{}, {"action": "x"}, None], ids=["nothing", "one", "a number among them"])
def test_an_entry_has_exactly_its_fields_as_texts(fields: dict[str, str] | None) -> None:
    whole: dict[str, Any] = dict.fromkeys(("action", "actor", "at", "digest", "object", "request", "tenant"), "")
    with pytest.raises(ValueError, match="exactly the texts"):
        entry_bytes(whole | {"digest": 1} if fields is None else fields)


def test_a_checkpoint_of_every_size_holds_and_each_of_them_shows_a_change_before_it() -> None:
    entries = [_entry(number) for number in range(1, 35)]
    every = [_note(entries[:size]) for size in range(1, len(entries) + 1)]
    assert verify_bundle(Bundle("acme", ORIGIN, entries, _chain(entries), every), KEY.public_key()) == []
    for place in range(len(entries)):
        changed = [*entries[:place], _entry(77), *entries[place + 1 :]]
        found = verify_bundle(Bundle("acme", ORIGIN, changed, _chain(changed), every), KEY.public_key())
        assert [one.sequence for one in found] == list(range(place + 1, len(entries) + 1))
