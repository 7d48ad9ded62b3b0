"""Which credit notes count, and what they leave to correct: the laws, over any notes, corrections and taxes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.invoicing.settlement.credit_notes import cap_by_credit_notes, counting, judge_credit_notes, refused
from valueverse.schemas.invoicing import CORRECTED, INVOICE_NUMBERS, WORKING_LINES
from valueverse.schemas.settlement import CREDIT_NOTES

START = datetime(2024, 2, 1, tzinfo=UTC)


def notes(*stated: tuple[str, int, int]) -> pl.DataFrame:
    """Notes on invoice ``acme-1``: amount, day of the note, day on which it was received."""
    rows = [
        dict.fromkeys(CREDIT_NOTES)
        | {
            "tenant": "acme", "number": "acme-1", "origin": f"s#{place}", "amount": Decimal(amount), "source": "s",
            "id": str(place), "created_at": START + timedelta(days=day), "received_at": START + timedelta(days=known),
        }
        for place, (amount, day, known) in enumerate(stated)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=CREDIT_NOTES)


def bills(total: int, **more: Any) -> pl.DataFrame:
    row = {"tenant": "acme", "number": "acme-1", "invoice_id": "i1", "customer": "c", "currency": "USD"}
    return pl.DataFrame([dict.fromkeys(INVOICE_NUMBERS) | row | {"total_minor": total} | more], schema=INVOICE_NUMBERS)


def corrections(*found: tuple[int, int]) -> pl.DataFrame:
    """Corrections of ``acme-1`` on later invoices: minor units, day of the knowledge that made them."""
    rows = [("acme", f"acme-{day + 2}", "acme-1", START + timedelta(days=day), minor) for minor, day in found]
    return pl.DataFrame(rows, schema=CORRECTED, orient="row")


def accepted(found: pl.DataFrame) -> list[int]:
    return counting(found)["amount_minor"].to_list()


def test_a_note_that_counted_is_not_displaced_by_a_backdated_one() -> None:
    found = judge_credit_notes(notes(("30", 9, 9), ("30", 1, 20)), bills(5000), CORRECTED.to_frame())
    assert accepted(found) == [3000]
    assert refused(found)["event_id"].to_list() == ["1"]


def test_a_note_known_when_its_invoice_was_numbered_does_not_count_however_often_a_run_is_repeated() -> None:
    """The invoice was numbered by a run that knew all that was received by the fourth."""
    of_fourth = bills(5000, events_known_at=START + timedelta(days=4))
    found = judge_credit_notes(notes(("1", 9, 3), ("2", 1, 4), ("4", 1, 5)), of_fourth, CORRECTED.to_frame())
    assert accepted(found) == [400]
    assert refused(found).select("event_id", "reason").rows() == [("0", "unknown_invoice"), ("1", "unknown_invoice")]


def test_a_note_is_judged_beside_the_corrections_known_before_it() -> None:
    """50.00, of which 30.00 were given back on the fifth: a note of 30.00 fits only if it came by then."""
    corrected = corrections((-3000, 5))
    assert accepted(judge_credit_notes(notes(("30", 4, 4)), bills(5000), corrected)) == [3000]
    assert accepted(judge_credit_notes(notes(("30", 5, 5)), bills(5000), corrected)) == [3000]
    assert accepted(judge_credit_notes(notes(("30", 4, 6)), bills(5000), corrected)) == []
    assert accepted(judge_credit_notes(notes(("20", 6, 6)), bills(5000), corrected)) == [2000]


def test_what_corrects_another_invoice_does_not_raise_the_limit_of_its_own() -> None:
    """80.00, of which 30.00 are late usage of another invoice."""
    corrected_lines = corrections((3000, 5)).with_columns(number=pl.lit("acme-1"), corrected_number=pl.lit("acme-0"))
    assert accepted(judge_credit_notes(notes(("50.01", 9, 9), ("50", 9, 9)), bills(8000), corrected_lines)) == [5000]


def test_a_fraction_of_a_minor_unit_is_no_part_of_a_note() -> None:
    found = judge_credit_notes(notes(("50.004", 1, 1), ("0.009", 1, 1)), bills(5000), CORRECTED.to_frame())
    assert accepted(found) == [5000]
    assert refused(found)["reason"].to_list() == ["bad_amount"]


def test_a_note_in_yen_is_whole_yen() -> None:
    assert accepted(judge_credit_notes(notes(("50.9", 1, 1)), bills(50, currency="JPY"), CORRECTED.to_frame())) == [50]


@given(
    total=st.integers(0, 10_000),
    stated=st.lists(st.tuples(st.integers(1, 6000), st.integers(0, 30), st.integers(0, 30)), max_size=6),
    found=st.lists(st.tuples(st.integers(-4000, 4000), st.integers(0, 30)), max_size=4),
)
@law(60)
def test_notes_stay_within_the_invoice_and_what_corrections_left_of_it(
    total: int, stated: list[tuple[int, int, int]], found: list[tuple[int, int]]
) -> None:
    frame = notes(*((str(Decimal(minor).scaleb(-2)), day, received) for minor, day, received in stated))
    counted = counting(judge_credit_notes(frame, bills(total), corrections(*found)))
    for until in counted["received_at"]:
        corrected = sum(minor for minor, day in found if START + timedelta(days=day) < until)
        known_then = counted.filter(pl.col("received_at") <= until)["amount_minor"].sum()
        assert known_then <= total + corrected


def adjustments(*rows: tuple[int, str]) -> pl.DataFrame:
    """Adjustment lines of invoice ``i1``: minor units and percent of tax."""
    of = [
        dict.fromkeys(WORKING_LINES)
        | {
            "tenant": "acme", "rank": place, "key": f"k{place}", "dimensions": "", "amount_minor": minor,
            "corrected_invoice_id": "i1",
            "amount_precise": Decimal(minor).scaleb(-2), "event_count": 1, "decimals": 2, "tax_percent": Decimal(rate),
        }
        for place, (minor, rate) in enumerate(rows)
    ]  # fmt: skip
    return pl.DataFrame(of, schema=WORKING_LINES)


@given(
    left=st.integers(0, 6000),
    rows=st.lists(st.tuples(st.integers(-4000, 2000), st.sampled_from(["0", "7", "19", "8.875"])), max_size=5),
)
@law(60)
def test_a_correction_gives_back_what_stands_however_tax_is_rounded(left: int, rows: list[tuple[int, str]]) -> None:
    """``left`` stands beside a note of 1.00; what is given back reaches it to two minor units per line. What comes out
    below zero gives back all but the note."""
    frame = adjustments(*rows)
    found = cap_by_credit_notes(frame, notes(("1", 0, 0)), bills(left + 100), CORRECTED.to_frame()).sort("rank")

    def given_back(lines: pl.DataFrame) -> Decimal:
        parts = lines.select("amount_minor", "tax_percent").iter_rows()
        return -sum((minor + minor * rate / 100 for minor, rate in parts), Decimal(0))

    most = max(Decimal(left), given_back(frame) - 100)
    assert ceil(given_back(found)) <= ceil(most)
    assert given_back(found) >= min(given_back(frame), most) - 2


def test_what_a_correction_held_back_for_a_note_stays_held_back() -> None:
    """An invoice of 37.76 that is -31.67 as known now, beside a note of 30.00."""
    stated, bill = notes(("30", 0, 0)), bills(3776)
    first = cap_by_credit_notes(adjustments((-6943, "0")), stated, bill, CORRECTED.to_frame())
    assert first["amount_minor"].to_list() == [-3943]
    again = cap_by_credit_notes(adjustments((-3000, "0")), stated, bill, corrections((-3943, 1)))
    assert again["amount_minor"].to_list() == [0]
    added = cap_by_credit_notes(adjustments((-2900, "0")), stated, bill, corrections((-3943, 1)))
    assert added["amount_minor"].to_list() == [0]


def test_a_correction_without_a_note_is_booked_in_full() -> None:
    frame = adjustments((-4000, "19"))
    assert cap_by_credit_notes(frame, notes(), bills(100), CORRECTED.to_frame()).equals(frame)
