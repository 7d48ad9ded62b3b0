"""The charts of a report, each drawn for a wide and for a narrow page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from valueverse.value.report import formatting
from valueverse.value.report.svg import (
    AGREED,
    BENEFIT,
    COST,
    GRID,
    INK,
    MUTED,
    NARROW,
    NET,
    WIDE,
    canvas,
    styled,
    svg,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from matplotlib.axes import Axes

    from valueverse.value.report.estimates import Flow

_MOST_BARS = 60
"""Periods drawn as bars; more are lines."""
_MOST_STEPS = 9
_LONGEST = {"wide": 34, "narrow": 17}


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes:
        key: names it in the page.
        title: what it shows.
        description: the same in words, for people who do not see it.
        drawings: the SVG elements, classes ``wide`` and ``narrow``.
    """

    key: str
    title: str
    description: str
    drawings: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall: a benefit, a cost (its amount above 0, too) or the sum of all before it (``net``)."""

    name: str
    kind: str
    amount: float


@dataclass(frozen=True)
class Calendar:
    """How periods are called: ``formatting.period``."""

    grain: str
    start: Any

    def name(self, n: int) -> str:
        """Of period ``n``."""
        return formatting.period(n, self.grain, self.start)


def _chart(key: str, title: str, description: str, draw: Callable[[Axes, str], None], rows: int = 0) -> Chart:
    drawings = []
    with styled():
        for shown, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
            figure, axes = canvas((width, 1.3 + 0.42 * rows if rows else height))
            draw(axes, shown)
            drawings.append(svg(figure, key, title, description, shown))
    return Chart(key, title, description, tuple(drawings))


def _money_axis(axes: Axes, which: str, currency: str) -> None:
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, max(map(abs, axis.get_view_interval())))))
    axes.grid(axis=which)  # type: ignore[arg-type]
    (axes.set_ylabel if which == "y" else axes.set_xlabel)(currency)


def _short(value: float, largest: float) -> str:
    """A tick in the unit that fits the largest of its axis: ``25k``, ``1.5M``."""
    for limit, unit, letter in ((1e12, 1e12, "T"), (1e9, 1e9, "bn"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if largest >= limit:
            return f"{formatting.number(value / unit)}{letter}" if value else "0"
    return formatting.number(value)


def _cut(text: str, shown: str) -> str:
    most = _LONGEST[shown]
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _period_axis(axes: Axes, calendar: Calendar, shown: str) -> None:
    """Call once all is drawn: where every period can be named, ticks are at whole periods alone."""
    most = 8 if shown == "wide" else 3
    first, last = axes.get_xlim()
    whole = range(math.ceil(first), math.floor(last) + 1)
    axes.xaxis.set_major_locator(
        FixedLocator(list(whole)) if len(whole) <= most else MaxNLocator(nbins=most, integer=True)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: calendar.name(round(n)) if n >= 0 else ""))


def _bars(axes: Axes, places: Sequence[float], heights: Sequence[float], width: float, **look: Any) -> None:
    """Bars, or a step line where there are too many to distinguish."""
    if len(places) <= _MOST_BARS:
        axes.bar(places, heights, width, **look)
        return
    axes.step(places, heights, where="mid", linewidth=1.2, color=look["color"], label=look["label"])


def cash_flow(flow: Flow, payback: float | None, calendar: Calendar, currency: str) -> Chart:
    """Benefits and costs per period, the net so far as a line, and where all is paid back."""
    periods = range(1, len(flow.benefits) + 1)
    last = flow.cumulative[-1]
    text = (
        f"Benefits and costs of {len(periods)} {calendar.grain}s and the net so far, which starts at "
        f"{formatting.estimate(flow.cumulative[0], currency)} and ends at {formatting.estimate(last, currency)}. "
        + (f"It is paid back after {formatting.lasting(payback, calendar.grain)}." if payback is not None else
           "It is not paid back in this time.")
    )  # fmt: skip

    def draw(axes: Axes, shown: str) -> None:
        _bars(axes, list(periods), flow.benefits, 0.8, color=BENEFIT, label="benefits")
        costs = [-flow.upfront, *(-one for one in flow.costs)]
        _bars(axes, range(len(costs)), costs, 0.8, color=COST, label="costs", hatch="///", edgecolor="#ffffff")
        axes.plot(range(len(flow.cumulative)), flow.cumulative, color=NET, linewidth=2, label="net so far")
        axes.axhline(0, color=INK, linewidth=0.8)
        if payback is not None:
            axes.axvline(payback, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            label = f"paid back after {formatting.lasting(payback, calendar.grain)}"
            right = payback > len(periods) / 2
            axes.annotate(
                label,
                (payback, 1),
                xycoords=("data", "axes fraction"),
                xytext=(-4 if right else 4, -11),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=9,
            )
        _money_axis(axes, "y", currency)
        _period_axis(axes, calendar, shown)
        _legend(axes, 3)

    return _chart("cash-flow", "Cash flow and payback", text, draw)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, handlelength=1.2, columnspacing=1.2)


def waterfall(steps: Sequence[Step], currency: str) -> Chart:
    """What each driver adds and each cost takes away, down to the net; small ones are put together."""
    drawn = _folded(steps)
    text = "; ".join(f"{one.name}: {formatting.estimate(_signed(one), currency)}" for one in drawn)

    def draw(axes: Axes, shown: str) -> None:
        level = 0.0
        ends = [0.0]
        for place, one in enumerate(drawn):
            start = 0.0 if one.kind == "net" else level
            change = _signed(one)
            look = {"benefit": BENEFIT, "cost": COST, "net": NET}[one.kind]
            hatch = "///" if one.kind == "cost" else None
            axes.barh(place, change, 0.62, left=start, color=look, hatch=hatch, edgecolor="#ffffff")
            level = start + change
            ends += [start, level]
            if place:
                axes.plot([start] * 2, [place - 0.69, place - 0.31], color=MUTED, linewidth=0.8)
        span = (max(ends) - min(ends)) or 1.0
        for place, one in enumerate(drawn):
            right = max(ends[1 + 2 * place], ends[2 + 2 * place])
            label = formatting.estimate(_signed(one), currency)
            axes.text(right + span * 0.015, place, label, va="center", fontsize=9)
        axes.set_xlim(min(ends) - span * 0.02, max(ends) + span * (0.2 if shown == "wide" else 0.42))
        axes.set_yticks(range(len(drawn)), [_cut(one.name, shown) for one in drawn])
        axes.invert_yaxis()
        axes.axvline(0, color=INK, linewidth=0.8)
        _money_axis(axes, "x", currency)
        axes.tick_params(axis="y", length=0)

    return _chart("waterfall", "What each driver and cost comes to", text, draw, len(drawn))


def _signed(step: Step) -> float:
    return -step.amount if step.kind == "cost" else step.amount


def _folded(steps: Sequence[Step]) -> list[Step]:
    found = []
    for kind in ("benefit", "cost", "net"):
        own = [one for one in steps if one.kind == kind]
        largest = sorted(own, key=lambda one: (-abs(one.amount), one.name))
        selected = largest[: _MOST_STEPS - 1] if len(own) > _MOST_STEPS else largest
        found += selected
        if len(selected) < len(own):
            rest = largest[len(selected) :]
            found.append(Step(f"{len(rest)} smaller", kind, sum(one.amount for one in rest)))
    return found


def tornado(rows: Sequence[dict[str, Any]], centre: float, output: str, text_of: Callable[[float], str]) -> Chart:
    """How far the output moves when one input alone goes from its 5th to its 95th percentile.

    Args:
        rows: of ``sensitivity.tornado`` with a swing, the widest first.
        centre: the output with all inputs at their means.
        output: in words.
        text_of: an output's value in words.
    """
    drawn = rows[: _MOST_STEPS + 1]
    text = "; ".join(
        f"{formatting.name(one['input'])}: {output} from {text_of(one['low'])} to {text_of(one['high'])}"
        for one in drawn
    )

    def draw(axes: Axes, shown: str) -> None:
        for place, one in enumerate(drawn):
            for side, colour in (("low", COST), ("high", BENEFIT)):
                hatch = "///" if side == "low" else None
                gap = one[side] - centre
                axes.barh(place, gap, 0.62, left=centre, color=colour, hatch=hatch, edgecolor="#ffffff")
        axes.axvline(centre, color=INK, linewidth=1)
        axes.set_yticks(range(len(drawn)), [_cut(formatting.name(one["input"]), shown) for one in drawn])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.06)
        _money_axis(axes, "x", output)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if shown == "wide" else 4))
        legend = [
            Patch(facecolor=COST, hatch="///", edgecolor="#ffffff", label="input low (5 %)"),
            Patch(facecolor=BENEFIT, label="input high (95 %)"),
        ]
        axes.legend(handles=legend, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handlelength=1.2)

    return _chart("tornado", "Which assumptions matter most", text, draw, len(drawn))


@dataclass(frozen=True)
class Bar:
    """A named amount of a bar chart, and how it is written."""

    name: str
    amount: float | Decimal
    label: str


def build_bar_chart(key: str, title: str, unit: str, bars: Sequence[Bar]) -> Chart:
    """Horizontal bars in the order given, each with its amount in words; ``key`` names the chart in its page."""

    def draw(axes: Axes, shown: str) -> None:
        amounts = [float(one.amount) for one in bars]
        lowest, highest = min([*amounts, 0.0]), max([*amounts, 0.0])
        span = (highest - lowest) or 1.0
        axes.barh(range(len(bars)), amounts, 0.62, color=NET)
        for place, one in enumerate(bars):
            axes.text(max(amounts[place], 0.0) + span * 0.015, place, one.label, va="center", fontsize=9)
        axes.set_xlim(lowest, highest + span * (0.2 if shown == "wide" else 0.5))
        axes.set_yticks(range(len(bars)), [_cut(one.name, shown) for one in bars])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        _money_axis(axes, "x", unit)
        if all(isinstance(one.amount, int) for one in bars):
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))

    return _chart(key, title, "; ".join(f"{one.name}: {one.label}" for one in bars), draw, max(len(bars), 1))


@dataclass(frozen=True)
class Line:
    """A case's benefit per period, 1 first; ``forecast`` and ``committed`` may be longer than ``realised``."""

    committed: Sequence[float]
    realised: Sequence[float]
    forecast: Sequence[float]


def against(line: Line, calendar: Calendar, currency: str) -> Chart:
    """Committed beside realised per period; periods to come as forecast."""
    n = len(line.realised)
    text = (
        f"Benefit per {calendar.grain}. Realised over {n} {calendar.grain}{'' if n == 1 else 's'}: "
        f"{formatting.estimate(sum(line.realised), currency)}"
        + (f"; committed for the same time: {formatting.estimate(sum(line.committed[:n]), currency)}." if line.committed
           else ".")
    )  # fmt: skip

    def draw(axes: Axes, shown: str) -> None:
        if line.committed:
            places = [place - 0.2 for place in range(1, len(line.committed) + 1)]
            _bars(axes, places, line.committed, 0.38, color=AGREED, label="committed")
        places = [place + 0.2 for place in range(1, n + 1)]
        _bars(axes, places, line.realised, 0.38, color=BENEFIT, label="realised")
        ahead = line.forecast[n:]
        if ahead:
            places = [place + 0.2 for place in range(n + 1, n + len(ahead) + 1)]
            _bars(axes, places, ahead, 0.38, color=GRID, hatch="///", edgecolor=MUTED, label="forecast")
        axes.axhline(0, color=INK, linewidth=0.8)
        _money_axis(axes, "y", currency)
        _period_axis(axes, calendar, shown)
        _legend(axes, 3)

    return _chart("committed-realised", f"Benefit per {calendar.grain}", text, draw)
