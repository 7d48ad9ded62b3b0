"""The landing folder of a hostile tenant, ``evil``: events and catalogs of every class, and files that are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import hostile
from tests.support.hostile_files import files
from tests.support.hostile_values import CATALOG
from tests.support.landing import event

if TYPE_CHECKING:
    from pathlib import Path

TENANT = "evil"


def land(landing: Path, *, events: int, catalogs: int, odd_files: int) -> None:
    """Write the files of a tenant with a good catalog, then as much that is hostile."""
    folder = landing / TENANT
    folder.mkdir(parents=True)
    common = {"source": "office", "time": "2023-12-01T00:00:00Z"}
    founding = event("founding", {"tenant": TENANT, "name": TENANT}, type="billing.tenant.created", **common)
    catalog = event("catalog", CATALOG, type="billing.catalog.published", **common)
    lines = [json.dumps(founding).encode(), json.dumps(catalog).encode()]
    (folder / "000.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    for name, items in (("e.ndjson", hostile.events(events)), ("z.ndjson", hostile.catalogs(catalogs))):
        (folder / name).write_bytes(b"".join(item.content + b"\n" for item in items))
    for item in files(odd_files):
        (folder / item.name).write_bytes(item.content)
