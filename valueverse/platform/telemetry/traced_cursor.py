"""A cursor of psycopg whose statements are spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from typing import Self


class TracedCursor(psycopg.Cursor[Any]):
    """Each statement it executes is a span that is named by its first word: values and names stay out of traces."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """As psycopg's."""
        parts = query.split(maxsplit=1) if isinstance(query, str) else []
        operation = parts[0].lower() if parts else "statement"
        attributes = {"db.system.name": "postgresql", "db.operation.name": operation}
        with tracing.span(f"postgres {operation}", "client", attributes=attributes):
            return super().execute(query, params, **options)
