"""The mistakes of a first user, in a folder that ``valueverse init`` made: each answer has cause, place and cure.

What is compared is all that is printed. No command here needs a server.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from valueverse.cli import main
from valueverse.services.project.start_project import start_project

if TYPE_CHECKING:
    from pathlib import Path

EVENT = (
    '{"specversion":"1.0","id":"a","source":"gateway","type":"api.usage","subject":"blue-bikes",'
    '"time":"2026-01-05T12:00:00Z","data":{"calls":120,"gigabytes":4}}'
)
ONE_OFF = (
    '{"specversion":"1.0","id":"o","source":"crm","type":"billing.one_off.added","time":"2026-01-05T12:00:00Z",'
    '"data":{"customer":"blue-bikes","description":"set-up","amount":AMOUNT,"currency":"USD"}}'
)
TAKEN = "type       events  first             last\napi.usage       1  2026-01-05 12:00  2026-01-05 12:00"


@dataclass(frozen=True)
class Mistake:
    """A file with a mistake, and what is printed.

    Attributes:
        name: of the file; the catalog is changed, any other file is written.
        content: of the file; of the catalog the text that is replaced, and what takes its place.
        printed: all of it.
        code: exit code.
    """

    name: str
    content: str | bytes | tuple[str, str]
    printed: str
    code: int = 1


MISTAKES = {
    "a wrong key": Mistake(
        "catalog.yaml",
        ("included:", "inclued:"),
        """\
catalog.yaml:LINE:9: unknown field 'inclued': did you mean 'included'? [bad_catalog]
  at plans[0].charges[0].inclued
  LINE |         inclued: "10000"
       |         ^
1 problem""",
    ),
    "a tab": Mistake(
        "catalog.yaml",
        ("    charges:", "\tcharges:"),
        """\
catalog.yaml:LINE:1: not readable as YAML: a tab cannot indent: write blanks in its place [bad_catalog]
  at plans[0].fees[0]
  LINE |  charges:
       | ^
1 problem""",
    ),
    "open tiers": Mistake(
        "catalog.yaml",
        ('{up_to: null, unit: "0.001"}', '{up_to: "90000", unit: "0.001"}'),
        """\
catalog.yaml:LINE:16: the last tier must be open: set its 'up_to' to null [bad_catalog]
  at plans[1].charges[0].price.tiers[1].up_to
  LINE |             - {up_to: "90000", unit: "0.001"}
       |                ^
1 problem""",
    ),
    "an unknown meter": Mistake(
        "catalog.yaml",
        ("meter: storage", "meter: storrage"),
        """\
catalog.yaml:LINE:9: unknown meter 'storrage': did you mean 'storage'? [bad_catalog]
  at plans[1].charges[1].meter
  LINE |         meter: storrage
       |         ^
1 problem""",
    ),
    "a currency that is none": Mistake(
        "catalog.yaml",
        ("currency: USD", "currency: DOLLAR"),
        """\
catalog.yaml:LINE:1: 'DOLLAR' is not an ISO 4217 currency such as 'USD' [bad_catalog]
  at currency
  LINE | currency: DOLLAR
       | ^
1 problem""",
    ),
    "a float of a program as a price": Mistake(
        "catalog.yaml",
        ('unit: "0.002"', "unit: 0.30000000000000004"),
        """\
catalog.yaml:LINE:40: the number 0.30000000000000004 has more than 15 significant digits: write it as a string \
[bad_catalog]
  at plans[0].charges[0].price.unit
  LINE |         price: {model: standard, unit: 0.30000000000000004}
       |                                        ^
1 problem""",
    ),
    "a float of a program as money": Mistake(
        "landing/acme/mine.ndjson",
        ONE_OFF.replace("AMOUNT", "0.30000000000000004"),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
inexact_number line 1: 0.30000000000000004 has more than 15 significant digits: write it as a string (at data.amount)\
""",
    ),
    "a wrong currency": Mistake(
        "landing/acme/mine.ndjson",
        ONE_OFF.replace("AMOUNT", '"10"').replace("USD", "EURO"),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
bad_billing_event line 1: 'EURO' is not an ISO 4217 currency such as 'USD' (at data.currency)""",
    ),
    "a missing time": Mistake(
        "landing/acme/mine.ndjson",
        EVENT.replace('"time":"2026-01-05T12:00:00Z",', ""),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
missing_attribute line 1: 'time' is required: write when it happened, such as 2024-01-31T09:30:00Z (at time)""",
    ),
    "a file that ends in .part": Mistake(
        "landing/acme/mine.ndjson.part",
        EVENT,
        f"""\
mine.ndjson.part for the tenant acme: 1 of 1 lines would be taken
not taken under this name: names that end in .part or begin with a dot are of files that are not whole yet: rename it \
once it is
{TAKEN}""",
    ),
    "semicolons": Mistake(
        "landing/acme/mine.csv",
        "specversion;id;source;type;subject;time;data\n1.0;a;gateway;api.usage;blue-bikes;2026-01-05T12:00:00Z;{}\n",
        """\
mine.csv for the tenant acme: 0 of 1 lines would be taken
unreadable_file the whole file: the file cannot be read: its columns are separated by ';': separate them by commas""",
    ),
    "a byte order mark is accepted": Mistake(
        "landing/acme/mine.ndjson",
        b"\xef\xbb\xbf" + EVENT.encode(),
        f"mine.ndjson for the tenant acme: 1 of 1 lines would be taken\n{TAKEN}",
        0,
    ),
    "an empty file": Mistake(
        "landing/acme/mine.ndjson",
        "",
        "valueverse: landing/acme/mine.ndjson: the file holds no event: write one on each line, or remove it (at FILE) "
        "[empty_file]",
        2,
    ),
    "a huge line": Mistake(
        "landing/acme/mine.ndjson",
        EVENT.replace('"calls":120', f'"note":"{"x" * 1_100_000}"'),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
too_long line 1: the event has 1,100,154 bytes, more than 1,048,576: keep large texts elsewhere, send where they are\
""",
    ),
    "an unknown tenant": Mistake(
        "landing/acme/mine.ndjson",
        EVENT.replace('"type"', '"tenant":"acne","type"'),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
unknown_tenant line 1: the event says tenant 'acne', but it is delivered as one of 'acme': correct the one that is \
wrong (at tenant)""",
    ),
    "a folder of an unknown tenant": Mistake(
        "landing/acne/mine.ndjson",
        EVENT,
        f"""\
mine.ndjson for the tenant acne: 1 of 1 lines would be taken
{TAKEN}
no file in landing/acne creates the tenant 'acne': unless it exists, every line is refused; send \
billing.tenant.created, or a catalog, first""",
        0,
    ),
    "ids that come again": Mistake(
        "landing/acme/mine.ndjson",
        f"{EVENT}\n{EVENT.replace('120', '130')}\n{EVENT}\n",
        f"""\
mine.ndjson for the tenant acme: 1 of 3 lines would be taken
{TAKEN}
conflict line 2: line 1 has the same source and id, and other content: the first one counts; send this one with an id \
of its own, or with 'replaces'
duplicate line 3: line 1 has the same source and id: the event counts once""",
    ),
    "a date in the future": Mistake(
        "landing/acme/mine.ndjson",
        EVENT.replace("2026-01-05", "2126-01-05"),
        """\
mine.ndjson for the tenant acme: 0 of 1 lines would be taken
too_far_future line 1: 2126-01-05T12:00:00Z is more than 24 hours ahead of its receipt: correct the time, or send it \
later (at time)""",
    ),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a new project, from which commands are called."""
    for variable in [name for name in os.environ if name.startswith("VALUEVERSE_")] + ["COLUMNS"]:
        monkeypatch.delenv(variable, raising=False)
    start_project(tmp_path / "mine", "acme")
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[object, list[str], list[str]]:
    """Exit code, and the lines of standard output and of standard error, without the blanks that fill a column."""
    monkeypatch.setattr("sys.argv", ["valueverse", *words])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    out, err = ([line.rstrip() for line in text.splitlines()] for text in (shown.out, shown.err))
    return end.value.code, out, err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_cause_place_and_cure(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = MISTAKES[name]
    path, expected = project / mistake.name, mistake.printed
    path.parent.mkdir(exist_ok=True)
    if isinstance(mistake.content, tuple):
        before, after = mistake.content
        text = path.read_text(encoding="utf-8")
        line = text[: text.index(before)].count("\n") + 1
        path.write_text(text.replace(before, after, 1), encoding="utf-8")
        # The sample catalog may grow: the line is where the mistake is.
        expected = expected.replace("  LINE |", f"{line:>6} |").replace("LINE", str(line))
        asked = ("catalog", "check", mistake.name)
    else:
        path.write_bytes(mistake.content if isinstance(mistake.content, bytes) else mistake.content.encode())
        asked = ("events", "check", mistake.name)
    code, out, err = typed(monkeypatch, capsys, *asked)
    assert (out + err, code) == (expected.splitlines(), mistake.code)


def test_a_typo_in_the_customer_of_a_subscription_is_named_before_anything_is_billed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "landing" / "acme" / "subscriptions.ndjson"
    path.write_text(path.read_text().replace("blue-bikes", "blue-bike"))
    code, _, notes = typed(monkeypatch, capsys, "simulate", "--landing", "landing", "--catalog", "catalog.yaml")
    assert code == 0
    assert notes[5:-1] == [
        (
            "billed here, and held by a billing run: subscription 'sub-1' (event 'start-1' of source 'crm'), since no "
            "event creates its customer 'blue-bike' (did you mean 'blue-bikes'?): send billing.customer.created, or "
            "correct the key"
        ),
        "used 69 of 101 events, 32 not, because:",
        (
            "not used: 31 no_subscription (the customer has none, or no event creates the customer), e.g. customer "
            "'blue-bikes', meter 'calls' on 2026-01-01"
        ),
    ]
