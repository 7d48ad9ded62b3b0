from decimal import Decimal

import polars as pl
import pytest

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, TEXT

COLUMNS = {"tenant": TEXT, "key": TEXT, "amount": EXACT, "note": TEXT}
PRICES = Contract(COLUMNS, key=("tenant", "key"), nullable=("note",))
ROW = {"tenant": "acme", "key": "seat", "amount": Decimal("1.5"), "note": None}


def rows(*more: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([ROW | one for one in more], schema=PRICES)


def test_a_frame_is_put_into_the_order_and_types_of_its_contract() -> None:
    frame = pl.DataFrame({"note": ["n"], "amount": [2], "other": [1], "tenant": ["acme"], "key": ["seat"]})
    assert PRICES.conform(frame).schema == PRICES
    assert PRICES.conform(frame.drop("note"), unset=("note",))["note"].to_list() == [None]


def test_a_missing_column_fails() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="amount"):
        PRICES.conform(rows({}).drop("amount"))


@pytest.mark.parametrize("name", ["note", "amount"])
def test_a_column_that_is_there_or_is_never_null_cannot_be_unset(name: str) -> None:
    frame = rows({}) if name == "note" else rows({}).drop(name)
    with pytest.raises(ValueError, match=name):
        PRICES.conform(frame, unset=(name,))


def test_a_key_of_unknown_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="other"):
        Contract({"tenant": TEXT}, key=("other",))


def test_what_does_not_hold_is_named() -> None:
    assert PRICES.violations(rows({}, {"key": "cpu"})) == []
    assert PRICES.violations(rows({}, {})) == ["1 rows repeat the key ('tenant', 'key')"]
    assert PRICES.violations(rows({"amount": None})) == ["amount is null 1 times"]
    assert "missing ['note']" in PRICES.violations(rows({}).drop("note"))[0]
    assert "amount is String" in PRICES.violations(rows({}).cast({"amount": TEXT}))[0]
