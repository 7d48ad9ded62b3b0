"""Elements and text of electronic invoices."""

from __future__ import annotations

import xml.etree.ElementTree as ET


def xml_text(text: str) -> str:
    """Text without the characters that XML cannot carry."""
    return "".join(c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in str(text))


def file_of(root: ET.Element) -> bytes:
    """The file of a document: indented, with a declaration of its encoding."""
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"
