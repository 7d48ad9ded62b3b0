"""The diagrams of docs/architecture are what the migrations and the code make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import diagrams
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_the_tables_are_those_of_the_migrations(servers: Settings) -> None:
    with connect(servers, "admin") as connection:
        drawn = diagrams.tables(connection)
    assert drawn.count("erDiagram") == len(diagrams.SCHEMAS)
    assert diagrams.TABLES.read_text(encoding="utf-8") == drawn, "run make docs"


def test_the_data_flow_is_that_of_the_code() -> None:
    drawn = diagrams.flow()
    assert "valueverse_services --> valueverse_platform" in drawn
    assert "billing_invoices" in drawn
    assert diagrams.FLOW.read_text(encoding="utf-8") == drawn, "run make docs"
