"""What no single part of a catalog can judge: unique keys, references, and charges that could tie."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from valueverse.catalog.base import unknown_name
from valueverse.catalog.meters import PRORATED
from valueverse.catalog.metrics import MAX_METRICS
from valueverse.catalog.prices import Bucketed, Outcome, Percentage
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from valueverse.catalog.document import Catalog
    from valueverse.catalog.meters import Meter
    from valueverse.catalog.plans import Charge, Plan

When = dict[str, str]


def check_references(catalog: Catalog) -> None:
    """Refuse repeated keys, references to what does not exist, and charges that could take the same event.

    Raises:
        RefusalError: ``bad_catalog`` with the path of the reference or of the second of two.
    """
    _unique([meter.key for meter in catalog.meters], "meters", "key")
    _unique([coupon.key for coupon in catalog.coupons], "coupons", "key")
    _unique([tax.key for tax in catalog.taxes], "taxes", "key")
    _unique([metric.key for metric in catalog.metrics], "metrics", "key")
    if len(catalog.metrics) > MAX_METRICS:
        raise _refuse(f"{len(catalog.metrics)} metrics: at most {MAX_METRICS} are taken", "metrics")
    _unique([(plan.key, plan.version) for plan in catalog.plans], "plans", "key and version")
    taxes = {tax.key for tax in catalog.taxes}
    meters = {meter.key: meter for meter in catalog.meters}
    for index, plan in enumerate(catalog.plans):
        path = f"plans[{index}]"
        _known(plan.taxes, taxes, f"{path}.taxes", "tax")
        _check_plan(plan, path, meters, taxes)
    _check_coupons(catalog)


def _refuse(message: str, path: str) -> RefusalError:
    return RefusalError("bad_catalog", message, path)


def _unique(keys: Sequence[Hashable], path: str, what: str) -> None:
    seen: dict[Hashable, int] = {}
    for index, key in enumerate(keys):
        if key in seen:
            shown = " ".join(map(str, key)) if isinstance(key, tuple) else key
            raise _refuse(
                f"the {what} {shown!r} stands twice, first at {path}[{seen[key]}]; rename one",
                f"{path}[{index}]",
            )
        seen[key] = index


def _known(names: Iterable[str], known: set[str], path: str, what: str) -> None:
    for index, name in enumerate(names):
        if name not in known:
            raise _refuse(unknown_name(f"unknown {what} {name!r}", name, known), f"{path}[{index}]")


def _check_plan(plan: Plan, path: str, meters: dict[str, Meter], taxes: set[str]) -> None:
    # Fees and charges share the invoice line's key, so a plan may not use one key for both.
    _unique([fee.key for fee in plan.fees], f"{path}.fees", "key")
    _unique([charge.key for charge in plan.charges], f"{path}.charges", "key")
    fees = {fee.key for fee in plan.fees}
    for index, fee in enumerate(plan.fees):
        _known(fee.taxes, taxes, f"{path}.fees[{index}].taxes", "tax")
    competing: dict[str, list[tuple[int, When]]] = defaultdict(list)
    for index, charge in enumerate(plan.charges):
        where = f"{path}.charges[{index}]"
        if charge.key in fees:
            raise _refuse(f"{charge.key!r} is a fee of this plan too; an invoice line needs one name", f"{where}.key")
        _known(charge.taxes, taxes, f"{where}.taxes", "tax")
        _check_buckets(charge, where)
        for meter in _meters_of(charge, where, meters):
            _check_dimensions(charge, meter, where)
            _check_proration(charge, meter, where)
            competing[meter.key].append((index, charge.when))
    for meter_key, charges in competing.items():
        _check_ties(charges, meter_key, f"{path}.charges")


def _meters_of(charge: Charge, path: str, meters: dict[str, Meter]) -> list[Meter]:
    named = charge.metered_by()
    if not named and not isinstance(charge.price, Outcome):
        raise _refuse("a charge needs 'meter': the key of the meter it prices", f"{path}.meter")
    for key, place in named.items():
        if key not in meters:
            raise _refuse(unknown_name(f"unknown meter {key!r}", key, set(meters)), f"{path}.{place}")
    return [meters[key] for key in named]


def _check_dimensions(charge: Charge, meter: Meter, path: str) -> None:
    known = set(meter.dimensions)
    for place, names in (("when", charge.when), ("split_by", charge.split_by), ("price", charge.priced_by())):
        for name in names:
            if name not in known:
                message = unknown_name(f"{name!r} is no dimension of the meter {meter.key!r}", name, known)
                raise _refuse(message, f"{path}.{place}")


def _check_buckets(charge: Charge, path: str) -> None:
    """Refuse an inner price that looks at more of a bucket than its quantity: it would price at a guess."""
    if not isinstance(charge.price, Bucketed):
        return
    model = charge.price.beyond_quantity()
    if model is not None:
        raise _refuse(f"a bucket is one quantity, which {model!r} cannot price alone", f"{path}.price.price")
    if any(isinstance(inner, Percentage) and inner.per_event for inner in charge.price.inner_prices()):
        message = "a bucket is one quantity: fixed, free and bounds per event do not hold inside it"
        raise _refuse(message, f"{path}.price.price")


def _check_proration(charge: Charge, meter: Meter, path: str) -> None:
    if charge.prorate == "day" and meter.aggregation not in PRORATED:
        message = f"only {' and '.join(PRORATED)} are prorated by days; {meter.key!r} is {meter.aggregation}"
        raise _refuse(message, f"{path}.prorate")
    if charge.round_prorated is not None and charge.prorate == "none":
        raise _refuse("round_prorated rounds prorated quantities: add 'prorate: day'", f"{path}.round_prorated")


def _check_ties(charges: list[tuple[int, When]], meter: str, path: str) -> None:
    """Refuse two charges with equally many keys for one event, unless a more specific one takes it."""
    by_keys: dict[frozenset[str], list[tuple[int, When]]] = defaultdict(list)
    for index, when in charges:
        by_keys[frozenset(when)].append((index, when))
    for left_keys, left in by_keys.items():
        for right_keys, right in by_keys.items():
            if len(left_keys) == len(right_keys):
                for first, second, event in _meeting(left, right, left_keys & right_keys):
                    if not _taken_by_more(event, by_keys, len(left_keys)):
                        tied = f"it ties with {path}[{first}] on meter {meter!r} for {event or 'any event'}"
                        raise _refuse(f"{tied}; add a key to 'when'", f"{path}[{second}]")


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


def _check_coupons(catalog: Catalog) -> None:
    plans = {plan.key for plan in catalog.plans}
    fees = {fee.key for plan in catalog.plans for fee in plan.fees}
    lines = fees | {charge.key for plan in catalog.plans for charge in plan.charges}
    for index, coupon in enumerate(catalog.coupons):
        path = f"coupons[{index}]"
        if (coupon.percent is None) == (coupon.amount is None):
            raise _refuse("a coupon has either 'percent' or 'amount' (with 'currency'), and not both", path)
        if (coupon.amount is None) != (coupon.currency is None):
            raise _refuse("'amount' and 'currency' belong together", path)
        _known(coupon.applies_to.plans, plans, f"{path}.applies_to.plans", "plan")
        _known(coupon.applies_to.charges, lines, f"{path}.applies_to.charges", "charge")
