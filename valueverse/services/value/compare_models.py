"""What separates two models, or two commits, and what it is worth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.documents import Change
    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.architect import Program
    from valueverse.value.architect.document import Model
    from valueverse.value.realisation import Commitment


def _checked(file: Path) -> tuple[Model, Program]:
    from valueverse.services.value.check_model import read_text
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import parse_model

    try:
        model = parse_model(read_text(file))
        return model, compile_model(model)
    except RefusalError as refusal:
        raise RefusalError(refusal.code, f"{file}: {refusal.message}", refusal.path) from refusal


def _money(before: Program, after: Program, data: Path | None) -> tuple[dict[str, Any], str | None]:
    """The difference in money, or why there is none to show."""
    from valueverse.services.value.model_inputs import read_data
    from valueverse.value.executor import money_difference

    metrics = read_data(data, None)
    try:
        return money_difference(before, after, metrics), None
    except RefusalError as refusal:
        return {}, f"{refusal.message} [{refusal.code}]"


@dataclass(frozen=True)
class ModelDifference:
    """A difference: hashes of both sides, changes, money by scenario, and why there is none."""

    hashes: dict[str, str]
    changes: list[Change]
    money: dict[str, Any]
    missing: str | None

    def as_json(self) -> dict[str, Any]:
        """As data."""
        changes = [one.as_json() for one in self.changes]
        return {**self.hashes, "changes": changes, "money": self.money, "no_money": self.missing}


def _models(before: Path, after: Path, data: Path | None) -> ModelDifference:
    from valueverse.value.architect.document import content_hash, model_changes

    (old, old_program), (new, new_program) = _checked(before), _checked(after)
    found = model_changes(old, new)
    money, missing = _money(old_program, new_program, data) if found else ({}, None)
    return ModelDifference({"before": content_hash(old), "after": content_hash(new)}, found, money, missing)


def commits(records: TenantRecords, before: str, after: str) -> ModelDifference:
    """What differs between two commits in all that they froze, and in the money agreed over the whole term.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_commit``, ``ambiguous_commit``.
    """
    from valueverse.documents import tree_changes
    from valueverse.services.value.stored_runs import frozen_commit
    from valueverse.services.value.value_names import known_tenant

    known_tenant(records)
    (old, old_text), (new, new_text) = (frozen_commit(records, one) for one in (before, after))
    found = tree_changes(json.loads(old_text), json.loads(new_text))
    money, missing = _agreed_money(old, new)
    return ModelDifference({"before": old.commit, "after": new.commit}, found, money, missing)


def _agreed_money(old: Commitment, new: Commitment) -> tuple[dict[str, Any], str | None]:
    from valueverse.value.executor import METRICS, compared_values
    from valueverse.value.realisation import agreed_run

    runs = [agreed_run(one) for one in (old, new)]
    if None in runs:
        return {}, "a measured input has no expected value in one of the commits"
    values = [run.values for run in runs if run is not None]
    return {"agreed": {name: compared_values(*(one.get(name) for one in values)) for name in METRICS}}, None
