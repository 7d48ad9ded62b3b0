"""The page of a model: conforming, self-contained, readable, and with the numbers of the run."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import polars as pl
import pytest

from tests.support.pages import SVG, read_page, repeated_ids, tables, tag, texts, what_it_would_fetch_or_run
from tests.support.value_models import model_text
from valueverse.errors import RefusalError
from valueverse.services.value.model_inputs import _output
from valueverse.services.value.value_report import report_of_model
from valueverse.value import library
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor.run import RunRequest, run_model
from valueverse.value.report import formatting

OPTIONS: dict[str, Any] = {"scenarios": ("base",), "draws": 512, "seed": 1, "start": None}
CASE: dict[str, Any] = {
    "axis": {"grain": "month", "periods": 24, "start": "2023-11-01", "discount": 0.1},
    "inputs": {
        "tickets": {"unit": "ticket/month", "value": 4000, "owner": "customer", "evidence": ["survey"]},
        "worth": {"unit": "USD/ticket", "dist": {"pert": [8, 11, 15]}},
        "deflected": {"unit": 1, "dist": {"interval90": [0.1, 0.3], "clip": [0, 1]}},
    },
    "variables": {"avoided": {"unit": "ticket/month", "expr": "tickets * deflected"}},
    "drivers": {"deflection": {"kind": "cost_saving", "expr": "avoided * worth", "risk": 0.2}},
    "costs": {"licence": "3000 USD/month", "setup": {"expr": "25000", "at": 0}},
    "scenarios": {"low": {"deflected": 0.1}, "base": {}},
    "outputs": ["npv", "avoided", {"probability": "roi > 0.5"}],
    "evidence": {"survey": {"title": "A survey", "url": "https://example.org/survey", "quote": "4,000 a month"}},
}


def page(text: str, **chosen: Any) -> str:
    return report_of_model(text, None, OPTIONS | chosen)


@pytest.fixture(scope="module")
def html() -> str:
    return page(model_text(**CASE), scenarios=())


@pytest.mark.parametrize("name", sorted(library.names()))
def test_every_ready_model_is_a_conforming_page_that_fetches_nothing(name: str) -> None:
    data = pl.DataFrame(
        [(metric, "c1", f"2024-{month:02}", 100.0) for metric in metrics_of(name) for month in range(1, 13)],
        schema=["metric", "customer", "period", "value"],
        orient="row",
    )
    tree = read_page(rendered(library.text(name), data))
    assert what_it_would_fetch_or_run(tree) == []
    assert repeated_ids(tree) == []
    assert tree.attrib["lang"] == "en"


def metrics_of(name: str) -> list[str]:
    return sorted(set(re.findall(r"metric: ([\w.]+)", library.text(name))))


def rendered(text: str, data: pl.DataFrame) -> str:
    from valueverse.value.architect.document.canonical import canonical_tree
    from valueverse.value.executor.binding import read_metrics
    from valueverse.value.report.page import render_page
    from valueverse.value.report.run_page import build_run_page

    model = parse_model(text)
    start = compile_model(model).axis.start or "2024-04-01"
    asked = RunRequest(("base",), 256, 1, start)
    return render_page(build_run_page(compile_model(model), canonical_tree(model), read_metrics(data, None), asked, []))


def test_its_policy_forbids_everything_but_its_own_style(html: str) -> None:
    (policy,) = [one for one in read_page(html).iter() if one.attrib.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attrib["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_the_same_model_gives_the_same_bytes(html: str) -> None:
    assert page(model_text(**CASE), scenarios=()) == html


def test_every_chart_is_drawn_for_both_widths_and_described_in_text(html: str) -> None:
    drawings = [one for one in read_page(html).iter() if one.tag == f"{SVG}svg"]
    assert [one.attrib["class"] for one in drawings] == ["wide", "narrow"] * 3
    for one in drawings:
        named = {part.attrib["id"]: part.text for part in one if tag(part) in {"title", "desc"}}
        assert one.attrib["role"] == "img"
        assert list(named) == one.attrib["aria-labelledby"].split()
        assert all(named.values())
        assert float(one.attrib["viewBox"].split()[2]) > 250
        used = [value[1:] for part in one.iter() for key, value in part.attrib.items() if key == "href"]
        assert set(used) <= {part.attrib.get("id") for part in one.iter()}


def test_every_table_has_a_caption_and_headings_for_rows_and_columns(html: str) -> None:
    found = [one for one in read_page(html).iter() if tag(one) == "table"]
    assert len(found) >= 6
    for one in found:
        scopes = [cell.attrib.get("scope") for cell in one.iter() if tag(cell) == "th"]
        assert "".join(one[0].itertext())
        assert scopes.count("col") == len(list(one[1][0]))
        assert scopes.count("row") == len(list(one[2]))


def test_its_numbers_are_those_of_the_run(html: str) -> None:
    program = compile_model(parse_model(model_text(**CASE)))
    outputs = [{"npv": ["mean"]}, {"roi": ["mean"]}, {"payback": ["mean"]}, "total_benefit", {"tornado": "npv"}]
    whole = compile_model(parse_model(model_text(**CASE | {"outputs": outputs})))
    run = run_model(whole, None, RunRequest(("base",), 512, 1))["scenarios"]["base"]["outputs"]
    found = tables(read_page(html))
    results = {row[0]: row[1:] for row in found["Results, with all inputs at their means, and over the draws"]}
    npv = run["npv"]
    ends = [npv["percentiles"]["5"], npv["percentiles"]["95"]]
    assert results["Net present value"] == [formatted(one) for one in (npv["value"], *ends)]
    assert results["Total benefit"][0] == formatted(run["total_benefit"])
    assert results["Payback"][0] == formatting.lasting(run["payback"]["value"], "month").replace("\u00a0", " ")
    moved = {row[0]: row for row in found["One input at a time, the others at their means"][1:]}
    assert [moved[one["input"]][3:] for one in run["tornado"]] == [
        [formatted(one["low"]), formatted(one["high"])] for one in run["tornado"]
    ]
    years = found["Cash flow by year, not discounted"]
    assert [row[0] for row in years[1:]] == [
        "before the start",
        "Nov 2023 to Oct 2024",
        "Nov 2024 to Oct 2025",
        "total",
    ]
    assert years[-1][1] == formatted(run["total_benefit"])
    assert program.currency == "USD"


def formatted(value: float) -> str:
    return formatting.estimate(value, "USD").replace("\u00a0", " ")


def test_the_command_that_it_prints_repeats_the_run_to_the_hash(html: str) -> None:
    facts = [("".join(one.itertext())) for one in read_page(html).iter() if tag(one) == "dd"]
    command = shlex.split(next(one for one in facts if one.startswith("valueverse value run")))
    options = [(command[place], command[place + 1]) for place in range(4, len(command), 2)]
    outputs = [_output(value) for name, value in options if name == "--output"]
    given = {name: int(value) for name, value in options if name in {"--draws", "--seed"}}
    model = parse_model(model_text(**CASE))
    program = compile_model(model.model_copy(update={"outputs": outputs}))
    answer = run_model(program, None, RunRequest((), given["--draws"], given["--seed"]))
    whole = compile_model(model).content_hash
    import hashlib

    import rfc8785

    bare = {name: value for name, value in answer.items() if name != "run_hash"} | {"content_hash": whole}
    assert hashlib.sha256(rfc8785.dumps(bare)).hexdigest() in facts


def test_inputs_stand_with_unit_owner_and_source(html: str) -> None:
    tree = read_page(html)
    rows = {row[0]: row[1:] for row in tables(tree)["Inputs"]}
    assert rows["tickets"] == ["4,000 ticket/month", "assumption", "owner: customerA survey"]
    assert rows["worth"][0].startswith("11.17 USD/ticket")
    assert "https://example.org/survey" in {one.attrib.get("href") for one in tree.iter()}
    assert ["A survey", "–", "4,000 a month"] in tables(tree)["Sources"]  # noqa: RUF001 - what stands for none


def test_scenarios_stand_side_by_side_unless_one_is_asked_for(html: str) -> None:
    assert [row[0] for row in tables(read_page(html))["Scenarios, at the means of their inputs"][1:]] == ["base", "low"]
    alone = read_page(page(model_text(**CASE), scenarios=("low",)))
    assert "Other scenarios" not in texts(alone)
    assert "scenario low" in texts(alone)


def test_values_that_replace_missing_ones_are_flagged() -> None:
    text = library.text("developer_time")
    shown = tables(read_page(page(text)))["Values that were missing"]
    assert shown[1] == [
        "requests",
        "month 1 to month 24",
        "default used20,000 request/month",
        "hours saved and developer time",
    ]


HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>&\"'\u202e\x07$\\frac{1}{0}$"


def test_whatever_users_write_is_shown_as_text() -> None:
    inputs = {"cost_per": {"unit": "USD/month", "dist": {"uniform": [1, 2]}, "owner": HOSTILE, "description": HOSTILE}}
    inputs["cost_per"]["evidence"] = ["e1", "e2"]
    sources = {
        "e1": {"title": HOSTILE, "url": "javascript:alert(1)", "note": HOSTILE},
        "e2": {"title": "t", "url": 'https://x.example/"onmouseover="alert(1)'},
    }
    text = json.dumps(
        {
            "schema": "valueverse.value_model/v1",
            "model": "hostile",
            "title": HOSTILE,
            "description": HOSTILE,
            "currency": "USD",
            "axis": {"grain": "month", "periods": 3},
            "inputs": inputs,
            "drivers": {"d": {"kind": "other", "expr": "cost_per"}},
            "evidence": sources,
        }
    )
    tree = read_page(page(text))
    assert what_it_would_fetch_or_run(tree) == []
    assert "<script>alert(1)</script>" in texts(tree)
    assert "\x07" not in "".join(tree.itertext())
    assert not any("javascript" in value for one in tree.iter() for value in one.attrib.values())


def test_a_model_without_money_shows_its_variables() -> None:
    text = model_text(
        inputs={"width": {"dist": {"normal": [12, 0.5]}}, "depth": {"dist": {"uniform": [8, 10]}}},
        variables={"floor_area": "width * depth"},
        outputs=[{"floor_area": ["mean"]}],
    ).replace("currency: USD\n", "")
    tree = read_page(page(text))
    asked = RunRequest(("base",), 512, 1)
    run = run_model(compile_model(parse_model(text)), None, asked)["scenarios"]["base"]["outputs"]["floor_area"]
    ends = [formatting.number(run["percentiles"][level]) for level in ("5", "95")]
    results = tables(tree)["Results, with all inputs at their means, and over the draws"]
    assert results[1] == ["floor area", "108", *ends]
    assert "Cash flow" not in texts(tree)
    assert "Which assumptions matter most" in texts(tree)


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {"w": {"unit": "USD/month", "value": 5}}, "drivers": {"d": {"kind": "other", "expr": "w"}}},
        {"axis": {"grain": "day", "periods": 400, "start": "2024-02-29"}, "drivers": {"d": {"kind": "x", "expr": "5"}}},
        {"drivers": {f"d{n}": {"kind": "x", "expr": f"{n}"} for n in range(1, 15)}, "costs": {"c": "3"}},
        {"costs": {"only": "7"}, "currency": "JPY"},
        {"drivers": {"none": {"kind": "x", "expr": "0"}}, "costs": {"c": {"expr": "0", "at": 0}}},
        {"drivers": {"huge": {"kind": "x", "expr": "1e99"}}, "costs": {"c": {"expr": "1e-99", "at": 0}}},
        {"drivers": {"loss": {"kind": "x", "expr": "0 - 5"}}, "axis": {"grain": "quarter", "periods": 1}},
    ],
)
def test_models_at_the_edge_have_a_page(changes: dict[str, Any]) -> None:
    tree = read_page(page(model_text(**changes)))
    assert what_it_would_fetch_or_run(tree) == []
    assert not re.search(r"\b(nan|inf|None)\b|\d\.\d{5}|\de-\d", texts(tree).split("To repeat it")[0])


def test_what_is_missing_is_refused_as_in_a_run() -> None:
    bound = {"used": {"unit": "ticket/month", "bind": {"metric": "usage.tickets", "agg": "sum"}}}
    text = model_text(inputs=bound, drivers={"d": {"kind": "other", "expr": "used * 1 USD/ticket"}})
    with pytest.raises(RefusalError, match="give data of it"):
        page(text)
