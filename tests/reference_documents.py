"""Write docs/events.md and docs/schemas from the models that judge the documents (``make docs``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from valueverse.catalog import Catalog
from valueverse.documents import json_schema_of
from valueverse.events.event_reference import SCHEMA_DIALECT, events_schema, page
from valueverse.value.architect.document import json_schema_text

ROOT = Path(__file__).parents[1]


def catalog_schema() -> dict[str, Any]:
    """The JSON Schema of catalogs."""
    return {"$schema": SCHEMA_DIALECT, **json_schema_of(Catalog), "title": "ValueVerse catalog"}


def documents() -> dict[Path, str]:
    """The text of every document, by its path."""
    schemas = {"event": events_schema(catalog_schema()), "catalog": catalog_schema()}
    texts = {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in schemas.items()}
    texts["value_model"] = json_schema_text()
    written = {ROOT / "docs" / "schemas" / f"{name}.schema.json": text for name, text in texts.items()}
    return {ROOT / "docs" / "events.md": page(), **written}


def main() -> None:
    """Write them all."""
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
