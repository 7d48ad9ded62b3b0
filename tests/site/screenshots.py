"""Pictures of the Dagster UI for the runbooks, taken from a running instance (``make screenshots``).

Run ``make demo`` and ``valueverse up`` first: the pictures show the demo's tenants. Chromium or Chrome has to be
installed; nothing else of this project needs a browser.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from valueverse.platform.servers.supervisor import url
from valueverse.platform.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

FOLDER = Path(__file__).parents[2] / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_COLOURS = 128
MOST_BYTES = 150_000
_SIZE = {"width": 1440, "height": 860}


def _graph(page: Page) -> None:
    page.get_by_text("marts", exact=True).last.wait_for()
    page.set_viewport_size({"width": 1440, "height": 560})
    page.get_by_role("button", name="Hide navigation").click()


def _asset(page: Page) -> None:
    page.get_by_role("button", name="Plots").click()
    page.get_by_text("USD billed (minor units)").wait_for()


def _check(page: Page) -> None:
    page.get_by_text("every_event_is_metered").first.click()
    page.get_by_text("runbook", exact=True).wait_for()


def _backfill(page: Page) -> None:
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Show all partitions").click()
    page.get_by_placeholder("ex: ").fill("[2024-02-01...2024-04-01]")
    page.keyboard.press("Enter")
    page.get_by_text("Backfills all partitions in a single run").wait_for()


def _mart(page: Page) -> None:
    page.get_by_text("Row count").first.wait_for()


PICTURES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "asset-graph": ("/asset-groups", _graph),
    "asset-plots": ("/assets/billing/invoices?view=overview", _asset),
    "failed-check": ("/assets/lake/usage?view=checks", _check),
    "backfill": ("/assets/billing/invoices?view=overview", _backfill),
    "mart": ("/assets/marts/fct_invoice?view=overview", _mart),
}
"""Name of a picture: the page, and what is done there before it is taken."""


def main() -> None:
    """Take every picture; ends with a sentence where no browser is installed or no UI runs."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser: install one of {', '.join(BROWSERS)}")
    address = url(get_settings(), "dagster")
    if address is None:
        sys.exit("the Dagster UI does not run: make demo, then valueverse up")
    from playwright.sync_api import sync_playwright  # of this target's own lock: tests do without it

    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        for name, (path, prepare) in PICTURES.items():
            page = chromium.new_page(viewport=_SIZE)
            page.goto(address + path)
            prepare(page)
            page.wait_for_timeout(3_000)  # charts are drawn in steps
            target = FOLDER / f"dagster-{name}.png"
            target.write_bytes(_small(page.screenshot()))
            page.close()
            sys.stdout.write(f"{target.relative_to(FOLDER.parents[1])}: {target.stat().st_size // 1000} kB\n")
        chromium.close()


def _small(picture: bytes) -> bytes:
    """The picture in as many colours as a user interface has, no larger than a repository should hold."""
    made = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS).save(made, "PNG", optimize=True)
    if len(made.getvalue()) > MOST_BYTES:
        sys.exit(f"a picture of {len(made.getvalue())} bytes is larger than {MOST_BYTES}")
    return made.getvalue()


if __name__ == "__main__":
    main()
