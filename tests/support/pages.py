"""HTML pages as a browser reads them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import html5lib

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

XHTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
_FETCHED = {
    *("script", "link", "iframe", "object", "embed", "img", "audio", "video", "source", "base", "form"),
    *("image", "foreignObject", "animate", "set"),
}


def read_page(html: str) -> ET.Element:
    """The page's tree; a page that is not conforming HTML is an error."""
    return html5lib.HTMLParser(strict=True).parse(html)


def tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def what_it_would_fetch_or_run(tree: ET.Element) -> list[str]:
    """Elements, attributes and styles that load something or run something; an anchor only leads somewhere."""
    found = []
    for element in tree.iter():
        name = tag(element)
        found += [f"<{name}>"] if name in _FETCHED else []
        if name == "style":
            found += re.findall(r"@import|url\([^)]*\)|expression", element.text or "")
        for key, value in element.attrib.items():
            attribute = str(key).rpartition("}")[2]
            leads = name == "a" and attribute == "href" and value.startswith(("https://", "http://"))
            inner = attribute == "href" and value.startswith("#")
            if attribute in {"src", "srcset", "href", "action", "background", "poster", "data"} and not leads | inner:
                found.append(f"{name} {attribute}={value}")
            if attribute.startswith("on"):
                found.append(f"{name} {attribute}")
            found += re.findall(r"url\((?!#)[^)]*\)", value)
    return found


def texts(tree: ET.Element) -> str:
    """All that is written on the page outside its style, blanks as one."""
    parts = []
    for element in tree.iter():
        if tag(element) != "style" and element.text:
            parts.append(element.text)
        if element.tail:
            parts.append(element.tail)
    return " ".join(" ".join(parts).split())


def repeated_ids(tree: ET.Element) -> list[str]:
    ids = Counter(element.attrib["id"] for element in tree.iter() if "id" in element.attrib)
    return [name for name, times in ids.items() if times > 1]


def tables(tree: ET.Element) -> dict[str, list[list[str]]]:
    """Caption -> rows of cells, the heading first."""
    found = {}
    for table in tree.iter(f"{XHTML}table"):
        caption = "".join(table.find(f"{XHTML}caption").itertext())
        found[caption] = [
            [" ".join("".join(cell.itertext()).split()) for cell in row] for row in table.iter(f"{XHTML}tr")
        ]
    return found
