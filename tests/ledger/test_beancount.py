"""The journal as a ledger file: names that no grammar foresaw, and bean-check's own verdict."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from beancount import loader
from beancount.core import data, realization
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.test_journal import note, paid, wallet
from tests.support.journal import booked, document, facts, line
from tests.support.laws import law
from valueverse.ledger.beancount import account_part, export_beancount

if TYPE_CHECKING:
    from valueverse.ledger.posting import Journal

BEAN_CHECK = str(Path(sys.executable).with_name("bean-check"))
PART = re.compile(r"[A-Z0-9][A-Za-z0-9-]*")
NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters="/"), min_size=1, max_size=40)


ESCAPED = re.compile(r"-([0-9a-f]+)-")


def name_of(part: str) -> tuple[str, str]:
    """Kind and name that ``account_part`` was given."""
    return part[0], ESCAPED.sub(lambda found: chr(int(found[1], 16)), part[2:])


def text_of(journal: Journal) -> str:
    return "".join(export_beancount(journal.entries, journal.postings))


def check(text: str, folder: Path) -> str:
    """What bean-check says of a ledger; nothing if it accepts it."""
    path = folder / "journal.beancount"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([BEAN_CHECK, str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


def busy() -> Journal:
    """A journal with every kind of entry and account."""
    events = facts(
        paid("received", "10.00"), paid("failed", "10.00"), paid("refunded", "1"), note("2"),
        wallet("granted", "5", expires_at="2024-03-01"), wallet("purchased", "5", expires_at="2024-03-01"),
        wallet("purchased", "7"), wallet("voided", "3", "2024-04-01"),
    )  # fmt: skip
    return booked(
        document(1, [line(3100, "2024-02-01", "2024-04-01"), line(900)], tax=760, discount=100),
        document(2, [line(500)]),
        events=events,
        voided={"acme-000002": "2024-03-01T00:00:00+00:00"},
    )


def test_bean_check_accepts_every_kind_of_entry(tmp_path: Path) -> None:
    journal = busy()
    assert journal.entries["kind"].n_unique() >= 10
    assert check(text_of(journal), tmp_path) == ""


def test_bean_check_accepts_a_journal_of_nothing(tmp_path: Path) -> None:
    assert check(text_of(booked()), tmp_path) == ""


def test_bean_check_accepts_names_that_are_no_account_names(tmp_path: Path) -> None:
    names = [
        '"; DROP',
        "acme.co",
        "ACME.CO",
        "ümläut & Söhne",
        "日本 株式会社",
        "-",
        "a-2e-b",
        "a.b",
        "\\",
        "C-1",
        "é",
        "e\u0301",
    ]
    invoices = [document(number, [line(100)]) | {"customer": name} for number, name in enumerate(names)]
    text = text_of(booked(*invoices))
    assert check(text, tmp_path) == ""
    receivables = re.findall(r"open Assets:Receivable:T-acme:(\S+)", text)
    assert sorted(name_of(part)[1] for part in receivables) == sorted(names)


def test_bean_check_refuses_a_journal_that_was_tampered_with(tmp_path: Path) -> None:
    assert "does not balance" in check(text_of(busy()).replace("31.00 USD", "31.01 USD", 1), tmp_path) or (
        "does not balance" in check(text_of(busy()).replace("10.00 USD", "10.01 USD", 1), tmp_path)
    )


def test_currencies_keep_their_decimals(tmp_path: Path) -> None:
    def of(number: int, currency: str, amount: str, zero: str) -> dict[str, object]:
        totals = {"total": amount, "discount_total": zero, "tax_total": zero, "credit_total": zero}
        one = document(number, [line(100)]) | totals | {"currency": currency}
        one["lines"][0]["amount"] = amount
        return one

    text = text_of(booked(of(1, "JPY", "79", "0"), of(2, "KWD", "7.881", "0.000")))
    assert "  Assets:Receivable:T-acme:C-c1  79 JPY" in text
    assert "  Assets:Receivable:T-acme:C-c1  7.881 KWD" in text
    assert check(text, tmp_path) == ""


def test_beancount_arrives_at_the_journals_own_balances() -> None:
    journal = busy()
    entries, errors, _ = loader.load_string(text_of(journal))
    assert errors == []
    assert len([entry for entry in entries if isinstance(entry, data.Transaction)]) == journal.entries.height
    root = realization.realize(entries)
    receivable = realization.compute_balance(realization.get(root, "Assets:Receivable"))
    ours = journal.postings.filter(journal.postings["account"] == "receivable")["amount_minor"].sum()
    assert receivable.get_currency_units("USD").number == Decimal(ours).scaleb(-2)
    whole = realization.compute_balance(root)
    assert whole.get_currency_units("USD").number == 0


@given(NAMES)
@law(100)
def test_a_name_and_its_part_of_an_account_determine_each_other(name: str) -> None:
    part = account_part("C", name)
    assert PART.fullmatch(part)
    assert name_of(part) == ("C", name)
