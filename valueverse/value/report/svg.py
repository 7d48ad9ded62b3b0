"""Matplotlib figures as SVG inside a page: no metadata, no fonts, ids of their own, the same bytes each time."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from valueverse.value.report.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1b2733", "#4d5b6a", "#d9dfe6"
BENEFIT, COST, NET, AGREED = "#2a7a5e", "#b4532a", "#1f4e79", "#8a97a6"
WIDE, NARROW = (9.0, 3.6), (4.3, 3.7)
"""Inches: for 1,200 pixels and for 400."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "valueverse",
    "text.parse_math": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"#([\w-]+)")
_LOCK = Lock()


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write inside: our style, whatever the user's matplotlibrc says; it is global, so one page at a time."""
    with _LOCK, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def canvas(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty figure of one pair of axes."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def svg(figure: Figure, key: str, title: str, description: str, shown: str) -> str:
    """The figure as an element of HTML.

    Args:
        figure: drawn inside ``styled``.
        key: of the chart in its page: ids begin with it.
        title, description: what people hear who do not see it.
        shown: class of the element, by which the page picks the size.
    """
    written = io.BytesIO()
    engine = figure.get_layout_engine()
    if engine is not None:
        # One layout pass; savefig would draw everything a second time for its own.
        engine.execute(figure)
        figure.set_layout_engine("none")
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(written.getvalue())  # noqa: S314 - what we have just written
    _strip(root)
    _name_ids(root, f"{key}-{shown}")
    width, height = (float(root.attrib.pop(name).removesuffix("pt")) for name in ("width", "height"))
    root.attrib |= {"viewBox": f"0 0 {width:g} {height:g}", "class": shown, "role": "img"}
    root.attrib["aria-labelledby"] = f"{key}-{shown}-title {key}-{shown}-text"
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{key}-{shown}-{'text' if place else 'title'}"})
        element.text = printable(text)
        root.insert(place, element)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _strip(root: ET.Element) -> None:
    """Take out metadata and the style sheet, which would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}:
                parent.remove(child)
    root.attrib.pop("version", None)


def _name_ids(root: ET.Element, prefix: str) -> None:
    """Keep the ids that something refers to, under names that no other chart of the page has."""
    used: set[str] = set()
    for element in root.iter():
        if f"{{{_XLINK}}}href" in element.attrib:
            element.attrib["href"] = element.attrib.pop(f"{{{_XLINK}}}href")
        for name, value in element.attrib.items():
            if name == "href" or "url(#" in value:
                used.update(_REFERENCE.findall(value))
                element.attrib[name] = _renamed(name, value, prefix)
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.attrib["id"] = f"{prefix}-{own}"


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "href":
        return _REFERENCE.sub(rf"#{prefix}-\1", value)
    return re.sub(r"url\(#([\w-]+)\)", rf"url(#{prefix}-\1)", value)
