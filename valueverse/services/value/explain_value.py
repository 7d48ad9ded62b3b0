"""Where a value comes from: the terms of a formula, and for stored runs the rows behind its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.realisation import Explained


@dataclass(frozen=True)
class Question:
    """What is to be explained.

    Attributes:
        output: its name.
        period: None: the last one, of a commit that of the month.
        to_date: the sum over the periods up to it.
    """

    output: str
    period: int | None = None
    to_date: bool = False


@dataclass(frozen=True)
class RunRef:
    """Which run of a commit: by its hash, or the newest of a month's case."""

    commit: str | None = None
    month: date | None = None
    case: str = "realised"
    run_hash: str | None = None


@dataclass(frozen=True)
class Answer:
    """A tree and what it is of.

    Attributes:
        about: model, scenario or commit, month, case and hash of the run.
        root: the tree.
        drilldown: by id of a measured input, the events, invoice lines and costs that its values come from.
    """

    about: dict[str, Any]
    root: Explained
    drilldown: dict[str, list[dict[str, Any]]]

    def as_json(self) -> dict[str, Any]:
        """As data: every node once, parents first, children by their ids."""
        return self.about | {
            "root": self.root.id,
            "value": self.root.value,
            "unit": self.root.unit,
            "nodes": [
                node.as_json() | ({"behind": self.drilldown[node.id]} if node.id in self.drilldown else {})
                for node in self.root.nodes()
            ],
        }


def explain_model(
    file: Path, data: tuple[Path | None, str | None], scenario: str, start: str | None, asked: Question
) -> Answer:
    """An output of a model on its assumptions, or on the data given with it.

    Args:
        file: the model.
        data: measured data, and the customer whose data count.
        scenario: its name.
        start: first day of period 1.
        asked: what to explain.

    Raises:
        RefusalError: as ``valueverse value run`` and ``explain_output``.
    """
    from valueverse.services.value.check_model import read_text
    from valueverse.services.value.model_inputs import read_data
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import parse_model
    from valueverse.value.realisation import assumed_inputs, explain_output

    program = compile_model(parse_model(read_text(file)))
    given, sources = assumed_inputs(program, scenario, read_data(*data), start)
    period = asked.period or program.axis.periods
    root = explain_output(program, given, sources, asked.output, period, to_date=asked.to_date)
    about = {"model": program.model, "content_hash": program.content_hash, "scenario": scenario}
    return Answer(about | {"output": asked.output, "period": period}, root, {})


def explain_commit(records: TenantRecords, place: RunRef, asked: Question, limit: int) -> Answer:
    """An output of a committed model's run, down to the rows that its metrics come from.

    Args:
        records: of the tenant whose commit it is.
        place: which run.
        asked: what to explain.
        limit: events, lines or costs listed for each metric's value; all are counted.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``unknown_run``,
            ``not_measured``, or as ``explain_output``.
    """
    from valueverse.services.value.run_sources import Drilldown
    from valueverse.services.value.stored_runs import stored_run, stored_runs
    from valueverse.value.realisation import explain_output, run_inputs

    if place.run_hash is not None:
        stored = stored_run(records, place.run_hash)
    else:
        (stored,) = stored_runs(records, place.commit or "", place.month, [place.case])
    program, given, sources = run_inputs(stored.commitment, stored.run, stored.known_at)
    period = asked.period or stored.run.document["period"]
    root = explain_output(program, given, sources, asked.output, period, to_date=asked.to_date)
    drilldown = Drilldown(records, stored, limit).of_tree(root)
    about = {
        "tenant": records.tenant,
        "commit": stored.commitment.commit,
        "model": program.model,
        "case": stored.run.case,
    }
    about |= {"month": f"{stored.month:%Y-%m}", "run_hash": stored.run_hash, "known_at": stored.known_at}
    return Answer(about | {"output": asked.output, "period": period}, root, drilldown)
