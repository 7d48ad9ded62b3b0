"""What no single part of a catalog can judge: unique keys, references, and charges that could tie."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from valueverse.catalog.meters import PRORATED_AGGREGATIONS
from valueverse.catalog.metrics import MAX_METRICS
from valueverse.catalog.prices import Bucketed, Outcome, Percentage
from valueverse.catalog.sections import sections_of
from valueverse.documents import Problems

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from valueverse.catalog.meters import Meter
    from valueverse.catalog.model import Catalog
    from valueverse.catalog.plans import Charge
    from valueverse.catalog.sections import PlanParts, Sections

When = dict[str, str]
_CODE = "bad_catalog"


def check_references(catalog: Catalog) -> None:
    """Refuse repeated keys, references to what does not exist, and charges that could take the same event.

    Raises:
        DocumentError: ``bad_catalog``, with the path of each.
    """
    problems = Problems()
    reference_problems(sections_of(catalog), problems)
    problems.refuse()


def reference_problems(sections: Sections, problems: Problems) -> None:
    """Add repeated keys, references to what does not exist, and charges that could take the same event.

    Each is added at the path of the reference, or of the second of two.
    """
    _Checker(sections, problems).check()


class _Checker:
    """Judges the sections of one catalog against each other."""

    def __init__(self, sections: Sections, problems: Problems) -> None:
        self.sections = sections
        self.problems = problems
        self.meters = {meter.key: meter for _, meter in sections.meters.placed()}
        self.taxes = sections.taxes.names()

    def check(self) -> None:
        """Judge everything."""
        sections = self.sections
        for section in (sections.meters, sections.coupons, sections.taxes, sections.metrics):
            self._unique(section.keys, section.path)
        if len(sections.metrics.keys) > MAX_METRICS:
            self._add(f"{len(sections.metrics.keys)} metrics: at most {MAX_METRICS} are taken", "metrics")
        self._unique([plan.version for plan in sections.plans], "plans", "key and version")
        for plan in sections.plans:
            self._check_plan(plan)
        self._check_coupons()

    def _add(self, message: str, path: str) -> None:
        self.problems.add(_CODE, message, path)

    def _unique(self, keys: Sequence[Hashable], path: str, what: str = "key") -> None:
        seen: dict[Hashable, int] = {}
        for index, key in enumerate(keys):
            if key is None:
                continue
            if key in seen:
                shown = " ".join(map(str, key)) if isinstance(key, tuple) else key
                first = f"{path}[{seen[key]}]"
                self._add(f"the {what} {shown!r} stands twice, first at {first}; rename one", f"{path}[{index}]")
            seen.setdefault(key, index)

    def _known(self, names: Iterable[str], known: Collection[str], path: str, what: str) -> None:
        for index, name in enumerate(names):
            if name not in known:
                self.problems.unknown(_CODE, f"unknown {what} {name!r}", name, known, f"{path}[{index}]")

    def _check_plan(self, parts: PlanParts) -> None:
        if parts.plan is not None:
            self._known(parts.plan.taxes, self.taxes, f"{parts.path}.taxes", "tax")
        # Fees and charges share the invoice line's key, so a plan may not use one key for both.
        self._unique(parts.fees.keys, parts.fees.path)
        self._unique(parts.charges.keys, parts.charges.path)
        fees = parts.fees.names()
        for path, fee in parts.fees.placed():
            self._known(fee.taxes, self.taxes, f"{path}.taxes", "tax")
        competing: dict[str, list[tuple[str, When]]] = defaultdict(list)
        for path, charge in parts.charges.placed():
            if charge.key in fees:
                self._add(f"{charge.key!r} is a fee of this plan too; an invoice line needs one name", f"{path}.key")
            self._known(charge.taxes, self.taxes, f"{path}.taxes", "tax")
            self._check_buckets(charge, path)
            if charge.round_prorated is not None and charge.prorate == "none":
                self._add("round_prorated rounds prorated quantities: add 'prorate: day'", f"{path}.round_prorated")
            for meter in self._meters_of(charge, path):
                self._check_dimensions(charge, meter, path)
                self._check_proration(charge, meter, path)
                competing[meter.key].append((path, charge.when))
        for meter_key, charges in competing.items():
            self._check_ties(charges, meter_key)
        for path, entry in (*parts.fees.unread(), *parts.charges.unread()):
            self._check_unread(entry, path)

    def _check_unread(self, entry: dict[str, Any], path: str) -> None:
        """References of a fee or charge that is wrong elsewhere."""
        known = self.sections.meters.names()
        meter, taxes = entry.get("meter"), entry.get("taxes")
        if isinstance(meter, str) and meter not in known:
            self.problems.unknown(_CODE, f"unknown meter {meter!r}", meter, known, f"{path}.meter")
        if isinstance(taxes, list) and all(isinstance(tax, str) for tax in taxes):
            self._known(taxes, self.taxes, f"{path}.taxes", "tax")

    def _meters_of(self, charge: Charge, path: str) -> list[Meter]:
        named = charge.metered_by()
        if not named and not isinstance(charge.price, Outcome):
            self._add("a charge needs 'meter': the key of the meter it prices", f"{path}.meter")
        known = self.sections.meters.names()
        for key, place in named.items():
            if key not in known:
                self.problems.unknown(_CODE, f"unknown meter {key!r}", key, known, f"{path}.{place}")
        return [self.meters[key] for key in named if key in self.meters]

    def _check_dimensions(self, charge: Charge, meter: Meter, path: str) -> None:
        for place, names in (("when", charge.when), ("split_by", charge.split_by), ("price", charge.priced_by())):
            for name in names:
                if name not in meter.dimensions:
                    what = f"{name!r} is no dimension of the meter {meter.key!r}"
                    self.problems.unknown(_CODE, what, name, meter.dimensions, f"{path}.{place}")

    def _check_buckets(self, charge: Charge, path: str) -> None:
        """An inner price that looks at more of a bucket than its quantity would price at a guess."""
        if not isinstance(charge.price, Bucketed):
            return
        model = charge.price.beyond_quantity()
        if model is not None:
            self._add(f"a bucket is one quantity, which {model!r} cannot price alone", f"{path}.price.price")
        elif any(isinstance(inner, Percentage) and inner.per_event for inner in charge.price.inner_prices()):
            message = "a bucket is one quantity: fixed, free and bounds per event do not hold inside it"
            self._add(message, f"{path}.price.price")

    def _check_proration(self, charge: Charge, meter: Meter, path: str) -> None:
        if charge.prorate == "day" and meter.aggregation not in PRORATED_AGGREGATIONS:
            message = (
                f"only {' and '.join(PRORATED_AGGREGATIONS)} are prorated by days; {meter.key!r} is {meter.aggregation}"
            )
            self._add(message, f"{path}.prorate")

    def _check_ties(self, charges: list[tuple[str, When]], meter: str) -> None:
        """Two charges with equally many keys for one event tie, unless a more specific one takes it."""
        for first, second, event in ties(charges):
            tied = f"it ties with {first} on meter {meter!r} for {event or 'any event'}"
            self._add(f"{tied}; add a key to 'when'", second)

    def _check_coupons(self) -> None:
        sections = self.sections
        plans = {plan.plan.key for plan in sections.plans if plan.plan is not None}
        lines = {key for plan in sections.plans for key in plan.fees.names() | plan.charges.names()}
        for path, coupon in sections.coupons.placed():
            if (coupon.percent is None) == (coupon.amount is None):
                self._add("a coupon has either 'percent' or 'amount' (with 'currency'), and not both", path)
            elif (coupon.amount is None) != (coupon.currency is None):
                self._add("'amount' and 'currency' belong together", path)
            self._known(coupon.applies_to.plans, plans, f"{path}.applies_to.plans", "plan")
            self._known(coupon.applies_to.charges, lines, f"{path}.applies_to.charges", "charge")


def ties(charges: list[tuple[str, When]]) -> Iterable[tuple[str, str, When]]:
    """Pairs of charges (path, when) that one event could tie between, with such an event; one per second charge."""
    by_keys: dict[frozenset[str], list[tuple[int, When]]] = defaultdict(list)
    for index, (_, when) in enumerate(charges):
        by_keys[frozenset(when)].append((index, when))
    found: dict[int, tuple[int, When]] = {}
    for left_keys, left in by_keys.items():
        for right_keys, right in by_keys.items():
            if len(left_keys) == len(right_keys):
                for first, second, event in _meeting(left, right, left_keys & right_keys):
                    if second not in found and not _taken_by_more(event, by_keys, len(left_keys)):
                        found[second] = first, event
    return [(charges[first][0], charges[second][0], event) for second, (first, event) in sorted(found.items())]


def _meeting(
    left: list[tuple[int, When]], right: list[tuple[int, When]], shared: frozenset[str]
) -> Iterable[tuple[int, int, When]]:
    names = sorted(shared)
    found: dict[tuple[str, ...], list[tuple[int, When]]] = defaultdict(list)
    for index, when in left:
        found[tuple(when[name] for name in names)].append((index, when))
    for second, when in right:
        for first, other in found[tuple(when[name] for name in names)]:
            if first < second:
                yield first, second, other | when


def _taken_by_more(event: When, by_keys: dict[frozenset[str], list[tuple[int, When]]], specificity: int) -> bool:
    return any(
        len(keys) > specificity
        and keys <= event.keys()
        and any(all(event[name] == value for name, value in when.items()) for _, when in charges)
        for keys, charges in by_keys.items()
    )
