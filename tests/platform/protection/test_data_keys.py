"""Data keys on real Postgres, wrapped by files and by OpenBao."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.key_server import TOKEN, KeyServer, key_server
from tests.support.protection import own_secrets
from valueverse.errors import RefusalError
from valueverse.platform.protection import Cell, DataKeys, wrapping_of
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.rotate_keys import rotate_data_keys, rotate_wrapping_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
VALUE = b"Ada Lovelace"


def cell(tenant: str = "acme", subject: str = "c1", row: str = "1") -> Cell:
    return Cell(tenant, subject, "vault.probe", "value", (row,))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyServer]:
    with key_server(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    found = own_secrets(settings, tmp_path)
    (found.secrets_dir / "vault_token").write_text(TOKEN)
    return found


@pytest.fixture(params=["local", "vault"])
def wrapped(request: pytest.FixtureRequest, own: Settings) -> Settings:
    """Wrapped by files, and by OpenBao."""
    if request.param == "local":
        return own
    server: KeyServer = request.getfixturevalue("server")
    return own.model_copy(update={"vault_url": server.url, "vault_key": own.database_name.strip("_")})


def sealed_by(settings: Settings, *cells: Cell, most_uses: int = 2**32) -> list[bytes]:
    with connect(settings, "builder") as connection:
        return DataKeys(connection, wrapping_of(settings), most_uses).seal([(one, VALUE) for one in cells])


def opened_by(settings: Settings, one: Cell, sealed: bytes) -> bytes | None:
    with connect(settings, "builder") as connection:
        return DataKeys(connection, wrapping_of(settings)).open([(one, sealed)])[0]


def keys_of(settings: Settings) -> list[tuple[str, str, int, str | None, int]]:
    with connect(settings, "builder") as connection:
        return connection.execute(
            "select tenant_id::text, subject, version, wrapped, uses from vault.data_key order by 1, 2, 3"
        ).fetchall()


def test_tenants_and_customers_have_keys_of_their_own_that_survive_rotation_and_rewrapping(wrapped: Settings) -> None:
    places = [cell(), cell(row="2"), cell("birch"), cell(subject="")]
    sealed = sealed_by(wrapped, *places)
    before = keys_of(wrapped)
    assert [row[:3] for row in before] == [("acme", "", 1), ("acme", "c1", 1), ("birch", "c1", 1)]
    assert [row[4] for row in before] == [1, 2, 1]
    done = rotate_wrapping_key(wrapped, retire=True)
    assert (done.keys, done.unreadable, done.retired) == ({"acme": 2, "birch": 1}, [], True)
    assert all(":v2:" in str(row[3]) for row in keys_of(wrapped)), "wrapped by the new version"
    assert rotate_data_keys(wrapped, "acme") == ["", "c1"]
    assert [opened_by(wrapped, *pair) for pair in zip(places, sealed, strict=True)] == [VALUE] * 4
    assert sealed_by(wrapped, cell())[0][4] == 2, "sealed by the new data key"
    with connect(wrapped, "builder") as connection:
        connection.execute("update vault.data_key set wrapped = %s where tenant_id = 'birch'", [before[2][3]])
    with pytest.raises(RefusalError, match="data key 1 of tenant birch does not unwrap"):
        opened_by(wrapped, places[2], sealed[2])


def test_a_wrapped_key_that_was_moved_or_damaged_does_not_unwrap_and_stops_nobody_else(wrapped: Settings) -> None:
    mine, others = sealed_by(wrapped, cell(), cell("birch"))
    with connect(wrapped, "builder") as connection:
        connection.execute(
            "update vault.data_key set wrapped = (select wrapped from vault.data_key where tenant_id = 'birch')"
            " where tenant_id = 'acme'"
        )
    with pytest.raises(RefusalError, match="data key 1 of tenant acme does not unwrap"):
        opened_by(wrapped, cell(), mine)
    done = rotate_wrapping_key(wrapped, retire=True)
    assert (done.keys, done.unreadable, done.retired) == ({"birch": 1}, [("acme", "c1", 1)], False)
    assert opened_by(wrapped, cell("birch"), others) == VALUE
    with connect(wrapped, "builder") as connection:
        connection.execute("update vault.data_key set wrapped = 'local:v1:AAAA' where tenant_id = 'acme'")
    with pytest.raises(RefusalError, match="does not unwrap"):
        opened_by(wrapped, cell(), mine)


def test_a_destroyed_key_opens_nothing_and_never_comes_back(own: Settings) -> None:
    (sealed,) = sealed_by(own, cell())
    before = keys_of(own)[0][3]
    with connect(own, "builder") as connection:
        connection.execute("update vault.data_key set wrapped = null, destroyed_at = now()")
    assert opened_by(own, cell(), sealed) is None
    for statement in (
        "update vault.data_key set wrapped = %s, destroyed_at = null",
        "delete from vault.data_key where %s <> ''",
    ):
        with connect(own, "admin") as connection, pytest.raises(psycopg.errors.RestrictViolation, match="is refused"):
            connection.execute(statement.encode(), [before])
    assert sealed_by(own, cell())[0][4] == 2, "whoever comes again gets another key"


def test_a_key_that_has_sealed_as_much_as_it_may_is_followed_by_the_next(own: Settings) -> None:
    sealed = [sealed_by(own, cell(), cell(row="2"), most_uses=5)[0] for _ in range(3)]
    assert [one[4] for one in sealed] == [1, 1, 2]
    assert [row[4] for row in keys_of(own)] == [4, 2]


def test_a_value_of_a_key_that_was_never_made_is_refused(own: Settings) -> None:
    (sealed,) = sealed_by(own, cell())
    with pytest.raises(RefusalError, match="names version 9 of a key, which was never made"):
        opened_by(own, cell(), sealed[:4] + b"\x09" + sealed[5:])


def test_keys_in_files_move_to_a_server_when_the_wrapping_key_is_rotated(own: Settings, server: KeyServer) -> None:
    (sealed,) = sealed_by(own, cell())
    moved = own.model_copy(update={"vault_url": server.url, "vault_key": "moved"})
    assert opened_by(moved, cell(), sealed) == VALUE, "the files open it until then"
    assert rotate_wrapping_key(moved, retire=True).keys == {"acme": 1}
    assert str(keys_of(moved)[0][3]).startswith("vault:v2:")
    assert server.client.secrets.transit.read_key("moved")["data"]["derived"] is True
    assert opened_by(moved, cell(), sealed) == VALUE


def test_a_server_that_refuses_or_is_away_and_a_missing_token_are_sentences(own: Settings, server: KeyServer) -> None:
    at_server = own.model_copy(update={"vault_url": server.url})
    (own.secrets_dir / "vault_token").write_text(server.token("default"))
    with pytest.raises(RefusalError, match="needs encrypt, decrypt and rewrap of transit/valueverse") as refused:
        sealed_by(at_server, cell())
    assert refused.value.code == "key_server_refused"
    (own.secrets_dir / "vault_token").unlink()
    with pytest.raises(RefusalError, match="put the token for"):
        sealed_by(at_server, cell())
    (own.secrets_dir / "vault_token").write_text(TOKEN)
    with pytest.raises(RefusalError, match="does not answer") as away:
        sealed_by(own.model_copy(update={"vault_url": "http://127.0.0.1:9"}), cell())
    assert away.value.code == "key_server_unreachable"
    assert keys_of(own) == [], "nothing is written by halves"
