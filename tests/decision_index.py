"""Writes the list of decisions, docs/decisions/README.md: run it after adding one.

python -m tests.decision_index    # or: make decisions
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
PATH = FOLDER / "README.md"
AREAS = {
    "00": "Invoices",
    "01": "The billing engine",
    "03": "Events and files",
    "04": "Servers, database, isolation",
    "05": "Quality and release",
    "06": "The API",
    "07": "Catalogs, meters, formulas",
    "08": "Runs, schedules, kills",
    "09": "Finance",
    "10": "Value models",
    "11": "The journal",
    "13": "Charges and outcomes",
    "14": "Commands, documents, operation",
    "15": "Reference cases",
    "16": "Ingest, writes, audit and identity over HTTP",
}
"""By the first two digits of a decision's number."""
_HEAD = """# Decisions

Every rule that had to be chosen, with its context and what follows from it. A decision that changes is rewritten, not
left beside a newer one. A new one takes the next free number of its area, has the headings Context, Decision and
Consequence, and `make decisions` lists it here.
"""


def rendered() -> str:
    """The list as Markdown: a table per area.

    Raises:
        KeyError: a number of an area that has no name here.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        number, _, title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").partition(" ")
        found.setdefault(AREAS[number[:2]], []).append(f"| [{number}]({path.name}) | {title} |")
    tables = (f"\n## {area}\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n" for area, rows in found.items())
    return _HEAD + "".join(tables)


def main() -> None:
    """Write it."""
    PATH.write_text(rendered(), encoding="utf-8")
    sys.stdout.write(f"{PATH.relative_to(FOLDER.parents[1])}\n")


if __name__ == "__main__":
    main()
