"""``valueverse simulate``: the engine that bills, on files or the lake."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from valueverse.cli import app, main
from valueverse.commands.billing.bars import difference_bars
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.document_hash import content_hash, finalise
from valueverse.platform.lake import Lake
from valueverse.platform.settings import get_settings
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.price_changes.money_changes import Change
from valueverse.services.simulation.simulate import parsed, read_log

if TYPE_CHECKING:
    from pathlib import Path

CATALOG: dict[str, Any] = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "meters": [{"key": "tokens", "event_type": "request", "aggregation": "sum", "value": "tokens"}],
    "plans": [
        {
            "key": "pro",
            "period": {"unit": "month", "align": "calendar"},
            "fees": [{"key": "platform", "amount": "25", "timing": "in_arrears"}],
            "charges": [{"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.001"}}],
        }
    ],
}


def event(identity: str, kind: str, time: str, data: dict[str, Any] | None, **more: Any) -> str:
    attributes = {"specversion": "1.0", "id": identity, "source": "test", "type": kind, "time": time, "data": data}
    return json.dumps(attributes | {"tenant": "acme"} | more)


STARTED = event(
    "s", "billing.subscription.started", "2023-11-01T00:00:00Z", {"subscription": "s1", "customer": "c1", "plan": "pro"}
)
EARLY = event("1", "request", "2023-11-05T00:00:00Z", {"tokens": 333}, subject="c1")
LATE = event("2", "request", "2023-11-06T00:00:00Z", {"tokens": 333}, subject="c1", received_at="2023-12-05T00:00:00Z")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "catalog.json").write_text(json.dumps(CATALOG))
    dearer = json.loads(json.dumps(CATALOG).replace('"0.001"', '"0.002"'))
    (tmp_path / "dearer.json").write_text(json.dumps(dearer))
    (tmp_path / "events.ndjson").write_text("\n".join([STARTED, EARLY, LATE]))
    return tmp_path


def simulate(files: Path, *options: str) -> Result:
    names = ["simulate", "--catalog", str(files / "catalog.json"), "--events", str(files / "events.ndjson")]
    return CliRunner().invoke(app, [*names, "--from", "2023-11-01", "--to", "2023-12-01", *options])


def documents(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusal(result: Result) -> RefusalError:
    assert isinstance(result.exception, RefusalError)
    return result.exception


def test_every_event_counts_as_known_at_its_periods_close_by_default(files: Path) -> None:
    (document,) = documents(simulate(files))
    assert document["total"] == "25.67"
    assert document["basis"]["events_known_at"] == document["period"]["to"] == "2023-12-01T00:00:00Z"


def test_what_was_received_after_known_at_does_not_count(files: Path) -> None:
    (document,) = documents(simulate(files, "--known-at", "2023-12-02T00:00:00Z"))
    assert [line["amount"] for line in document["lines"]] == ["25.00", "0.33"]
    assert document["basis"]["events_known_at"] == "2023-12-02T00:00:00Z"


def test_a_simulated_draft_has_the_hash_that_its_finalised_invoice_gets(files: Path) -> None:
    (document,) = documents(simulate(files))
    assert document["content_hash"] == content_hash(document)
    assert finalise(document, "acme-000007", "0" * 64).content_hash == document["content_hash"]


def test_compare_gives_the_money_diff_per_customer_and_in_all(files: Path) -> None:
    rows = documents(simulate(files, "--compare", str(files / "dearer.json")))
    assert rows == [
        {
            "tenant": "acme",
            "customer": "c1",
            "currency": "USD",
            "total": "25.67",
            "compared_total": "26.33",
            "difference": "0.66",
        },
        {
            "tenant": None,
            "customer": None,
            "currency": "USD",
            "total": "25.67",
            "compared_total": "26.33",
            "difference": "0.66",
        },
    ]


def test_a_chart_has_the_largest_differences_by_currency_and_needs_no_float() -> None:
    amounts = [("a", "USD", "-10.00"), ("b", "USD", "2.50"), ("c", "JPY", "99999999999999999999"), ("d", "USD", "0.00")]
    changes = [Change("t", name, unit, Decimal(0), Decimal(text)) for name, unit, text in amounts]
    lines = drawn([*changes, Change("t", "\x1b[2Jx" + "y" * 99, "USD", Decimal(0), Decimal("0.01"))])
    assert [line.split()[0] for line in lines[2:]] == ["c", "a", "b", "\\x1b[2Jx" + "y" * 11 + "…"]
    assert [line.count("█") for line in lines[2:]] == [20, 20, 5, 1]
    assert max(map(len, lines)) <= 80
    assert difference_bars(changes[3:]) is None


def drawn(changes: list[Change]) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(difference_bars(changes))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_duplicate_event_counts_once(files: Path) -> None:
    (files / "events.ndjson").write_text("\n".join([STARTED, EARLY, EARLY]))
    (document,) = documents(simulate(files))
    assert document["total"] == "25.33"


def test_an_id_that_comes_again_with_other_content_is_reported_and_the_first_one_counts(files: Path) -> None:
    same = EARLY.replace('"time"', ' "time"').replace("333", "333.0")
    other = EARLY.replace("333", "999")
    (files / "events.ndjson").write_text("\n".join([STARTED, EARLY, same, other]))
    result = simulate(files)
    (document,) = documents(result)
    assert document["total"] == "25.33"
    assert [line.partition(": ")[2][-40:] for line in result.stderr.splitlines() if "[conflict]" in line] == [
        "send a new id with 'replaces' [conflict]"
    ]
    assert "line 4" in result.stderr
    assert "line 3: the id" not in result.stderr


def test_usage_that_no_meter_can_read_is_reported_with_its_reason(files: Path) -> None:
    void = event("v", "request", "2023-11-05T00:00:00Z", None, subject="c1", replaces="1")
    (files / "events.ndjson").write_text(
        "\n".join(
            [STARTED, EARLY, void, LATE.replace("333", '"many"'), EARLY.replace('"1"', '"9"').replace("req", "inq")]
        )
    )
    result = simulate(files)
    assert [document["total"] for document in documents(result)] == ["25.00"]
    assert [line for line in result.stderr.splitlines() if line.startswith("unbilled")] == [
        "unbilled: 1 events of type inquest: no_meter",
        "unbilled: 1 events of type request: no_value",
    ]


def test_a_name_that_is_no_tenant_key_is_refused(files: Path) -> None:
    (files / "events.ndjson").write_text("\n".join([STARTED, EARLY, EARLY.replace("acme", "Acme Inc.")]))
    result = simulate(files)
    assert len(documents(result)) == 1
    assert "line 3: 'Acme Inc.' is not a tenant key" in result.stderr


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_billing_events_at_the_ends_of_the_calendar_stop_no_one_else(files: Path, time: str) -> None:
    far = STARTED.replace("2023-11-01T00:00:00Z", time).replace('"s"', '"far"').replace('"s1"', '"s9"')
    (files / "events.ndjson").write_text("\n".join([far, STARTED, EARLY]))
    names = ["simulate", "--catalog", str(files / "catalog.json"), "--events", str(files / "events.ndjson")]
    result = CliRunner().invoke(app, names)
    assert [document["subscription"] for document in documents(result)] == ["s1"]
    assert "outside the dates that are billed, 1970-01-01 to 2200-01-01 [bad_time]" in result.stderr


def test_a_refused_line_is_reported_and_the_rest_goes_on(files: Path) -> None:
    (files / "events.ndjson").write_text("\n".join([STARTED, "{broken", EARLY]))
    result = simulate(files)
    assert documents(result)[0]["total"] == "25.33"
    assert "line 2" in result.stderr
    assert "[malformed]" in result.stderr


def test_a_landing_folder_names_the_tenants(files: Path) -> None:
    folder = files / "landing" / "globex"
    folder.mkdir(parents=True)
    texts = [line.replace('"tenant": "acme"', '"tenant": "globex"') for line in (STARTED, EARLY)]
    (folder / "events.ndjson").write_text("\n".join(texts))
    result = simulate(files, "--landing", str(files / "landing"))
    assert [document["tenant"] for document in documents(result)] == ["acme", "globex"]


def test_periods_default_to_the_months_of_the_events(files: Path) -> None:
    names = ["simulate", "--catalog", str(files / "catalog.json"), "--events", str(files / "events.ndjson")]
    (document,) = documents(CliRunner().invoke(app, names))
    assert document["period"] == {"from": "2023-11-01T00:00:00Z", "to": "2023-12-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--known-at", "2023-12-02"], "bad_time"),
        (["--known-at", "yesterday"], "bad_time"),
        (["--from", "2023-12-02"], "bad_window"),
        (["--from", "11/01/2023"], "bad_date"),
        (["--to", "9999-12-31"], "bad_date"),
        (["--compare", "/nowhere.json"], "unreadable_file"),
        (["--events", "/nowhere.ndjson"], "unreadable_file"),
    ],
)
def test_a_wrong_option_is_refused_by_name(files: Path, options: list[str], code: str) -> None:
    error = refusal(simulate(files, *options))
    assert error.code == code
    assert error.path.startswith("--")


def test_a_wrong_catalog_is_refused_with_file_and_path(files: Path) -> None:
    (files / "catalog.json").write_text(json.dumps(CATALOG).replace('"0.001"', '"cheap"'))
    error = refusal(simulate(files))
    assert error.code == "bad_catalog"
    assert error.path.endswith("catalog.json.plans[0].charges[0].price.unit")


def test_each_mistake_of_a_catalog_is_written_on_a_line_of_its_own(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(CATALOG, indent=1).replace('"0.001"', '"cheap"').replace('"plans"', '"plnas": [],\n "plans"')
    (files / "catalog.json").write_text(text)
    options = ["--catalog", str(files / "catalog.json"), "--events", str(files / "events.ndjson")]
    monkeypatch.setattr("sys.argv", ["valueverse", "simulate", *options])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"valueverse: line \d+, column \d+: unknown field 'plnas': did you mean 'plans'\? "
        r"\(at \S*catalog.json.plnas\) \[bad_catalog\]",
        first,
    )
    assert second.endswith("catalog.json.plans[0].charges[0].price.unit) [bad_catalog]")


def test_an_unknown_plan_is_reported_and_bills_nothing(files: Path) -> None:
    (files / "events.ndjson").write_text("\n".join([STARTED.replace('"pro"', '"gold"'), EARLY]))
    result = simulate(files)
    assert documents(result) == []
    assert "[unknown_plan]" in result.stderr


def test_the_lake_gives_what_the_files_that_were_ingested_give(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path / "home"))
    created = event("c", "billing.customer.created", "2023-11-01T00:00:00Z", {"customer": "c1"})
    with (files / "events.ndjson").open("a") as more:
        more.write(f"\n{created}")
    log, _ = read_log(parsed([files / "events.ndjson"], None))
    other = log.with_columns(pl.lit("birch").alias("tenant"))
    Lake(get_settings().lake_url).append(EVENTS_TABLE, pl.concat([log, other]))
    options = ["--catalog", str(files / "catalog.json"), "--from", "2023-11-01", "--to", "2023-12-01"]
    recorded = CliRunner().invoke(app, ["simulate", "--lake", "--tenant", "acme", *options])
    assert documents(recorded) == documents(simulate(files))
    everybody = CliRunner().invoke(app, ["simulate", "--lake", *options, "--compare", str(files / "dearer.json")])
    assert [(row["tenant"], row["difference"]) for row in documents(everybody)] == [
        ("acme", "0.66"),
        ("birch", "0.66"),
        (None, "1.32"),
    ]
    nobody = CliRunner().invoke(app, ["simulate", "--lake", "--tenant", "nobody", *options])
    assert refusal(nobody).code == "no_events"


@pytest.mark.parametrize("options", [["--lake"], ["--tenant", "acme"]])
def test_files_and_the_lake_are_not_asked_for_together(files: Path, options: list[str]) -> None:
    assert refusal(simulate(files, *options)).code == "contradiction"


def test_files_are_billed_without_the_customers_events_and_say_so_and_the_lake_holds(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "billed here, and held by a billing run: subscription 's1' (event 's' of source 'test'), since no event"
    partial = simulate(files)
    assert len(documents(partial)) == 1
    assert expected in partial.stderr
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path / "home"))
    Lake(get_settings().lake_url).append(EVENTS_TABLE, read_log(parsed([files / "events.ndjson"], None))[0])
    options = ["--catalog", str(files / "catalog.json"), "--from", "2023-11-01", "--to", "2023-12-01"]
    whole = CliRunner().invoke(app, ["simulate", "--lake", *options])
    assert documents(whole) == []
    assert "the subscription 's1' is held: no event has created its customer 'c1'" in whole.stderr
