"""The API described for people: plain HTML out of the OpenAPI document, no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from serving_api.problems import KINDS, PREFIX
from serving_api.responses import respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid #8886; }
section { margin: 1.5rem 0; padding: 0.75rem 1rem; border: 1px solid #8886; border-radius: 6px; }
h3 { margin: 0; font: 600 1rem ui-monospace, monospace; }
.method { display: inline-block; min-width: 4.5rem; text-transform: uppercase; color: #2563eb; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; vertical-align: top; border-top: 1px solid
#8883; }
pre { overflow-x: auto; padding: 0.75rem; border-radius: 6px; background: #8882; font-size: 0.85rem; }
code { font-family: ui-monospace, monospace; }
"""


async def document(request: Request) -> Response:
    """The OpenAPI document."""
    return respond(request, orjson.dumps(request.app.openapi()))


async def page(request: Request) -> Response:
    """The description as a page."""
    html = "".join(_page(request.app.openapi()))
    return Response(html, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")


async def style(_request: Request) -> Response:
    """The page's style sheet."""
    return Response(_STYLE, headers={"Cache-Control": "public, max-age=3600"}, media_type="text/css")


def _page(described: dict[str, Any]) -> Iterator[str]:
    info = described["info"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/style.css">'
    yield f"<title>{escape(info['title'])} API</title></head><body><h1>{escape(info['title'])} API</h1>"
    yield f"<p>Version {escape(info['version'])} · <a href='/openapi.json'>openapi.json</a></p>"
    for paragraph in info["description"].split("\n\n"):
        yield f"<p>{_marked(paragraph)}</p>"
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in described["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append((path, method, operation))
    for tag, operations in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        for path, method, operation in operations:
            yield from _operation(path, method, operation)
    yield "<h2>Problems</h2><table><tr><th>type</th><th>status</th><th>title</th><th>what to do</th></tr>"
    for name, kind in KINDS.items():
        cells = (
            f"<code>{escape(PREFIX + name)}</code>",
            str(kind.status),
            escape(kind.title),
            _marked(kind.cure),
        )
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table><h2>Shapes</h2>"
    for name, schema in sorted(described["components"]["schemas"].items()):
        text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<pre>{escape(text)}</pre></details>"
    yield "</body></html>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<section><h3><span class="method">{escape(method)}</span>{escape(path)}</h3>'
    yield f"<p><strong>{escape(operation['summary'])}.</strong> {_marked(operation['description'])}</p>"
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>parameter</th><th>in</th><th></th></tr>"
        for one in parameters:
            yield f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
            yield f"<td>{_marked(one.get('description', ''))}</td></tr>"
        yield "</table>"
    yield "<table><tr><th>status</th><th></th></tr>"
    for status, answer in sorted(operation["responses"].items()):
        yield f"<tr><td>{escape(status)}</td><td>{_marked(answer['description'])}{_shape(answer)}</td></tr>"
    yield "</table></section>"


def _shape(answer: dict[str, Any]) -> str:
    for body in answer.get("content", {}).values():
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name and name != "Problem":
            return f' · <a href="#{escape(name)}"><code>{escape(name)}</code></a>'
    return ""


def _marked(text: str) -> str:
    """Escaped, with `code` between backticks."""
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(escape(text).split("`"))
    )
