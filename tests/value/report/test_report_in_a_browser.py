"""The page as Chromium draws and prints it. What needs no browser is tested beside this file, on every machine."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pypdfium2
import pytest
from PIL import Image

from tests.value.report.test_commit_page import report_of
from valueverse.value.report.commit_page import build_commit_page
from valueverse.value.report.page import render_page

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# No registry that we install from ships a browser that starts without packages of the operating system.
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here (Debian: apt install chromium)")
BENEFIT, COST, NET = (0x2A, 0x7A, 0x5E), (0xB4, 0x53, 0x2A), (0x1F, 0x4E, 0x79)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "page.html"
    path.write_text(render_page(build_commit_page(report_of())), encoding="utf-8")
    return path


def browse(page: Path, profile: Path, *options: str) -> str:
    """Run the browser on the page, without a way out; what it says of the page."""
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--user-data-dir={profile}"),
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("width", [400, 1200])
def test_it_is_drawn_without_a_complaint_and_nothing_sticks_out(page: Path, tmp_path: Path, width: int) -> None:
    shot = tmp_path / "shot.png"
    assert browse(page, tmp_path / "profile", f"--screenshot={shot}", f"--window-size={width},9000") == ""
    image = Image.open(shot).convert("RGB")
    assert image.width == width
    colours = {colour for _, colour in image.getcolors(image.width * image.height) or []}
    assert {BENEFIT, COST, NET} <= colours
    edge = image.crop((width - 8, 0, width, image.height))
    assert edge.getcolors() == [(8 * image.height, (255, 255, 255))]


def test_it_prints_with_charts_tables_and_all_of_its_text(page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "page.pdf"
    assert browse(page, tmp_path / "profile", f"--print-to-pdf={printed}", "--no-pdf-header-footer") == ""
    document = pypdfium2.PdfDocument(printed)
    assert 3 <= len(document) <= 12
    text = " ".join(one.get_textpage().get_text_range() for one in document)
    for part in ("Tokens saved", "Committed against realised", "Invoiced and spent", "How these numbers were made"):
        assert part in " ".join(text.split())
