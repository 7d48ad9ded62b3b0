"""The parts of a catalog with their paths: all of a valid one, or those that can be read beside the wrong ones.

References are judged on these, so that a wrong field in one plan does not hide an unknown meter in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from valueverse.catalog.meters import Meter
from valueverse.catalog.metrics import MartMetric
from valueverse.catalog.model import Catalog, Coupon, Tax
from valueverse.catalog.plans import Charge, Fee, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True)
class Section(Generic[Part]):
    """A list of a catalog.

    Attributes:
        path: of the list.
        parts: its entries; None where one cannot be read.
        keys: of its entries, also of those that cannot be read; None where one has none.
        written: the entries as they are written, where some cannot be read.
    """

    path: str
    parts: tuple[Part | None, ...]
    keys: tuple[str | None, ...]
    written: tuple[Any, ...] = ()

    def placed(self) -> Iterator[tuple[str, Part]]:
        """The entries that can be read, each with its path."""
        for index, part in enumerate(self.parts):
            if part is not None:
                yield f"{self.path}[{index}]", part

    def unread(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries that cannot be read, as they are written, each with its path."""
        for index, (part, entry) in enumerate(zip(self.parts, self.written, strict=False)):
            if part is None and isinstance(entry, dict):
                yield f"{self.path}[{index}]", entry

    def names(self) -> set[str]:
        """The keys that others may refer to."""
        return {key for key in self.keys if key is not None}


@dataclass(frozen=True)
class PlanParts:
    """A plan, and its fees and charges apart, so that one wrong charge hides no other."""

    path: str
    plan: Plan | None
    version: tuple[str, int] | None
    fees: Section[Fee]
    charges: Section[Charge]


@dataclass(frozen=True)
class Sections:
    """All lists of a catalog."""

    meters: Section[Meter]
    plans: tuple[PlanParts, ...]
    coupons: Section[Coupon]
    taxes: Section[Tax]
    metrics: Section[MartMetric]


def sections_of(catalog: Catalog) -> Sections:
    """The parts of a valid catalog."""
    return Sections(
        meters=_section(catalog.meters, "meters"),
        plans=tuple(
            PlanParts(
                f"plans[{index}]",
                plan,
                (plan.key, plan.version),
                _section(plan.fees, f"plans[{index}].fees"),
                _section(plan.charges, f"plans[{index}].charges"),
            )
            for index, plan in enumerate(catalog.plans)
        ),
        coupons=_section(catalog.coupons, "coupons"),
        taxes=_section(catalog.taxes, "taxes"),
        metrics=_section(catalog.metrics, "metrics"),
    )


def _section(parts: Sequence[Any], path: str) -> Section[Any]:
    return Section(path, tuple(parts), tuple(part.key for part in parts))


def sections_of_tree(tree: dict[str, Any]) -> Sections:
    """The parts of a catalog that is wrong somewhere."""
    return Sections(
        meters=_read_section(tree, "meters", Meter),
        plans=tuple(_read_plan(plan, f"plans[{index}]") for index, plan in enumerate(_entries(tree, "plans"))),
        coupons=_read_section(tree, "coupons", Coupon),
        taxes=_read_section(tree, "taxes", Tax),
        metrics=_read_section(tree, "metrics", MartMetric),
    )


def _entries(tree: Any, name: str) -> list[Any]:
    found = tree.get(name) if isinstance(tree, dict) else None
    return found if isinstance(found, list) else []


def _read_section(tree: Any, name: str, model: type[Part], path: str = "") -> Section[Part]:
    entries = _entries(tree, name)
    keys = tuple(_key(entry) for entry in entries)
    return Section(f"{path}{name}", tuple(_read(entry, model) for entry in entries), keys, tuple(entries))


def _read_plan(entry: Any, path: str) -> PlanParts:
    parts = {"fees", "charges"}
    alone = {name: value for name, value in entry.items() if name not in parts} if isinstance(entry, dict) else entry
    plan = _read(alone, Plan)
    return PlanParts(
        path,
        plan,
        None if plan is None else (plan.key, plan.version),
        _read_section(entry, "fees", Fee, f"{path}."),
        _read_section(entry, "charges", Charge, f"{path}."),
    )


def _read(entry: Any, model: type[Part]) -> Part | None:
    """An entry without fields that the model does not have; None where it is wrong beside."""
    if not isinstance(entry, dict):
        return None
    try:
        return model.model_validate({name: value for name, value in entry.items() if name in model.model_fields})
    except ValidationError:
        return None


def _key(entry: Any) -> str | None:
    key = entry.get("key") if isinstance(entry, dict) else None
    return key if isinstance(key, str) else None
