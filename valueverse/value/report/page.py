"""A page as plain values, and the one HTML file it becomes: no script, nothing to fetch, all text escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from valueverse.value.report.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.value.report.charts import Chart

_TEMPLATE = "report.html"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_LOGO = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+\Z")


@dataclass(frozen=True)
class Link:
    """A text that leads to an address; shown as text alone where that is none of the web."""

    text: str
    url: str

    @property
    def safe(self) -> bool:
        """Whether a reader may follow it."""
        return self.url.lower().startswith(("https://", "http://"))


@dataclass(frozen=True)
class Code:
    """Text to be copied as it is: a hash, a command."""

    text: str


Part = str | Link | Code
Cell = Part | tuple[Part, ...]
"""A cell of one or of several lines."""


@dataclass(frozen=True)
class Table:
    """Rows below named columns; the first cell of a row names it.

    Attributes:
        caption: what it lists.
        columns: their names.
        rows: as many cells as columns.
        numbers: places of the columns that hold numbers.
        total: whether the last row adds up the others.
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    numbers: frozenset[int] = frozenset()
    total: bool = False


@dataclass(frozen=True)
class Facts:
    """Terms, each with its value."""

    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Headline:
    """A number that the page begins with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with a text, and charts, tables and facts below it; ``key`` is its place in the page."""

    key: str
    title: str
    text: str = ""
    parts: Sequence[Chart | Table | Facts] = field(default_factory=tuple)


@dataclass(frozen=True)
class Brand:
    """Whose page it is.

    Attributes:
        name: of the tenant; empty: nobody's.
        accent: a colour like #1f4e79; None: the page's own.
        logo: a PNG as a data URL, or None.
    """

    name: str = ""
    accent: str | None = None
    logo: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could be more than a colour and a picture.

        Raises:
            ValueError: for another accent or logo.
        """
        if self.accent is not None and not _COLOUR.match(self.accent):
            raise ValueError(f"{self.accent[:20]!r} is not a colour like #1f4e79")
        if self.logo is not None and not _LOGO.match(self.logo):
            raise ValueError("a logo is a PNG as a data URL")


UNBRANDED = Brand()


@dataclass(frozen=True)
class Signature:
    """A place to sign for one side, or who approved for it and when."""

    side: str
    approved: str | None = None


@dataclass(frozen=True)
class Page:
    """What is shown, in this order.

    Attributes:
        title: of the page.
        about: who and what it is about, one line.
        lead: the result in a few sentences.
        headlines: the numbers that matter.
        sections: the rest; those without parts and text are left out.
        footer: what holds for all of it.
        kind: what the page is, such as a proposal; empty: not stated.
        brand: whose it is.
        signatures: places to sign, at the end.
    """

    title: str
    about: str
    lead: Sequence[str]
    headlines: Sequence[Headline]
    sections: Sequence[Section]
    footer: str = (
        "What a model comes to is an estimate; fees and invoices are exact. "
        "This page is one file: it loads nothing and sends nothing."
    )
    kind: str = ""
    brand: Brand = UNBRANDED
    signatures: Sequence[Signature] = ()


def render_page(page: Page) -> str:
    """The page as HTML."""
    shown = [one for one in page.sections if one.parts or one.text]
    return _template().render(page=page, sections=shown) + "\n"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("valueverse.value.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["kind"] = lambda part: type(part).__name__
    # Drawn by us, every text in it escaped when it was written.
    environment.filters["drawing"] = Markup
    return environment.get_template(_TEMPLATE)
