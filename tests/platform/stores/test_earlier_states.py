"""What a billing run replaces is stored, and read as it was known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from valueverse.platform.stores.earlier_states import remember, store_replaced
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def named(connection: psycopg.Connection[Any], customer: str, *days: int) -> list[str | None]:
    """The customer's name as known on these days of January and, last, now."""
    query = "select (select name from billing.known_customer('acme', %s, at)) from unnest(%s::timestamptz[]) as at"
    return [row[0] for row in connection.execute(query, [customer, [*map(day, days), None]])]


def replaced(connection: psycopg.Connection[Any], at: int, **customers: str) -> None:
    """A run that finds acme with these customers and their names."""
    remember(connection, ["acme"])
    connection.execute("delete from billing.customer where tenant_id = 'acme'")
    for customer, name in customers.items():
        insert = "insert into billing.customer (tenant_id, customer, name) values ('acme', %s, %s)"
        connection.execute(insert, [customer, name])
    store_replaced(connection, ["acme"], day(at))
    connection.commit()


def test_a_state_is_known_until_the_run_that_replaced_it(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        connection.execute("insert into billing.customer (tenant_id, customer, name) values ('birch', 'c', 'Theirs')")
        for at, name in ((1, "One"), (3, "Two"), (3, "Three"), (5, "Three"), (7, "Four")):
            replaced(connection, at, c=name, other="Same")
        assert named(connection, "c", 2, 3, 6, 7) == ["One", "Three", "Three", "Four", "Four"]
        found = connection.execute(
            "select tenant_id::text, key, state ->> 'name' from billing.earlier_state order by held_until"
        )
        assert found.fetchall() == [("acme", "c", "One"), ("acme", "c", "Three")]
        # A run as of an earlier instant replaces what the one before it left.
        replaced(connection, 4, c="Five", other="Same")
        assert named(connection, "c", 6, 7) == ["Three", "Five", "Five"]
        replaced(connection, 8, c="Five")
        replaced(connection, 9, c="Five", other="Back")
        assert named(connection, "other", 6, 8, 9) == ["Same", None, "Back", "Back"]
        connection.execute("delete from billing.earlier_state")


def test_a_credit_note_is_known_from_the_run_that_brought_it(settings: Settings) -> None:
    amounts = (
        "select n.amount::text from billing.known_credit_notes('acme', 'c', %s) as n where n.number = 'acme-000001'"
    )
    with connect(settings, "builder") as connection:
        for at, amount in ((2, "1.50"), (4, "2")):
            remember(connection, ["acme"])
            connection.execute("delete from billing.credit_note")
            note = "insert into billing.credit_note values ('acme', 'n', 'acme-000001', 'c', 'USD', %s, 'slow', now())"
            connection.execute(note, [amount])
            store_replaced(connection, ["acme"], day(at))
            connection.commit()
        found = [connection.execute(amounts, [at]).fetchall() for at in (day(1), day(3), day(4), None)]
        assert [float(rows[0][0]) if rows else None for rows in found] == [None, 1.5, 2, 2]
