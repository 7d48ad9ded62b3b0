"""Numbers that other billing systems' test suites expect, judged by our rules, through the real commands.

Each line of ``<command>.ndjson``: ``source`` (project and file the numbers come from; "own numbers" where only the
rule does), ``input``, ``expect`` (the part of the answer that matters) and, where our rule deliberately gives another
number, ``differs`` with the reason.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from valueverse.cli import app

HERE = Path(__file__).parent
CALCULATORS = ("price", "meter", "periods", "prorate", "invoice")


def cases(command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / f"{command}.ndjson").read_text(encoding="utf-8").splitlines()]


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where ``found`` is not what was expected; further fields of an object are no difference."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line for name, value in expected.items() for line in differences(value, found.get(name), f"{path}.{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            line
            for place, value in enumerate(expected)
            for line in differences(value, found[place], f"{path}[{place}]")
        ]
    same = expected == found or (isinstance(found, str) and number(expected) == number(found) is not None)
    return [] if same else [f"{path}: expected {expected}, found {found}"]


def number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


@pytest.mark.parametrize("command", CALCULATORS)
def test_every_reference_case_is_answered_with_its_numbers(command: str, tmp_path: Path) -> None:
    wanted = cases(command)
    file = tmp_path / "lines.ndjson"
    file.write_text("\n".join(json.dumps({"id": case["id"]} | case["input"]) for case in wanted), encoding="utf-8")
    result = CliRunner().invoke(app, [command, "--file", str(file)])
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [case["id"] for case in wanted]
    wrong = {
        case["id"]: (found, answer.get("error"), case["source"])
        for case, answer in zip(wanted, answers, strict=True)
        if (found := differences(case["expect"], answer))
    }
    assert wrong == {}
    assert result.exit_code == 0


def translated(catalog: dict[str, Any]) -> dict[str, Any]:
    """The catalog with a translated name of every meter, fee, charge, coupon and tax: it changes no number."""
    names = {"translations": {"de": {"name": "Ein Name"}}}
    plans = [
        plan | {part: [one | names for one in plan[part]] for part in ("fees", "charges") if part in plan}
        for plan in catalog["plans"]
    ]
    parts = {part: [one | names for one in catalog[part]] for part in ("meters", "coupons", "taxes") if part in catalog}
    return catalog | parts | {"plans": plans}


@pytest.mark.parametrize("case", cases("simulate"), ids=lambda case: case["id"])
def test_every_simulated_case_bills_its_amounts(case: dict[str, Any], tmp_path: Path) -> None:
    given = case["input"]
    (tmp_path / "catalog.json").write_text(json.dumps(translated(given["catalog"])))
    (tmp_path / "events.ndjson").write_text("\n".join(json.dumps(event) for event in given["events"]))
    files = ["--catalog", str(tmp_path / "catalog.json"), "--events", str(tmp_path / "events.ndjson")]
    result = CliRunner().invoke(app, ["simulate", *files, "--from", given["from"], "--to", given["to"]])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert differences(case["expect"], {"documents": found}) == [], case["source"]


def test_there_are_cases_for_every_command_and_each_says_where_it_comes_from() -> None:
    every = [case for command in (*CALCULATORS, "simulate") for case in cases(command)]
    assert len(every) >= 250
    assert len({case["id"] for case in every}) == len(every)
    assert all(case["source"] for case in every)
