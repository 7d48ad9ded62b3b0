"""A PDF/A-3 that says it is a Factur-X: the properties of the standard, added to the metadata that Typst writes.

The PDF is appended to (an incremental update, ISO 32000-1, 7.5.6): its metadata are written once more at the end, so
that the file before them stays as it was typeset and nothing of it has to be read.
"""

from __future__ import annotations

import re

FACTUR_X_FILE = "factur-x.xml"
_SPACE = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES = {
    "DocumentType": ("INVOICE", "The type of the hybrid document in capital letters, e.g. INVOICE or ORDER"),
    "DocumentFileName": (FACTUR_X_FILE, "The name of the embedded XML document"),
    "Version": ("1.0", "The actual version of the standard applying to the embedded XML document"),
    "ConformanceLevel": ("EN 16931", "The conformance level of the embedded XML document"),
}
"""Value, and the description that PDF/A asks for of a property that it does not know itself."""
_DESCRIBED = "".join(
    f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
    "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>"
    f"<pdfaProperty:description>{about}</pdfaProperty:description></rdf:li>"
    for name, (_, about) in _PROPERTIES.items()
)
_SCHEMA = (
    '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>'
    f"<pdfaSchema:namespaceURI>{_SPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>"
    f"<pdfaSchema:property><rdf:Seq>{_DESCRIBED}</rdf:Seq></pdfaSchema:property></rdf:li>"
)
_STATED = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (value, _) in _PROPERTIES.items())
_DESCRIPTION = f'<rdf:Description rdf:about="" xmlns:fx="{_SPACE}">{_STATED}</rdf:Description>'
_PLACES = {
    "</rdf:Bag></pdfaExtension:schemas>": _SCHEMA,
    "</rdf:RDF>": _DESCRIPTION,
}
"""What is added before what."""
_END = re.compile(rb"trailer\n<<(?P<trailer>.*)>>\nstartxref\n(?P<table>\d+)\n%%EOF\s*\Z", re.DOTALL)
_ENTRY = 20
"""Bytes per object in the table of a PDF's objects, the first ten of which are its place."""


def as_factur_x(pdf: bytes) -> bytes:
    """A PDF/A-3 of Typst with ``FACTUR_X_FILE`` attached, as Factur-X 1.0, profile EN 16931.

    Raises:
        ValueError: for a PDF that is not written as Typst writes them.
    """
    end = _END.search(pdf, pdf.rfind(b"trailer"))
    if end is None:
        raise ValueError("a PDF without a table of its objects")
    trailer, table = end["trailer"], int(end["table"])
    catalog = _object(pdf, table, _reference(trailer, b"Root"))
    number = _reference(catalog, b"Metadata")
    packet = _object(pdf, table, number).partition(b"\nstream\n")[2].decode()
    for place, added in _PLACES.items():
        if packet.count(place) != 1:
            raise ValueError(f"metadata with {packet.count(place)} of {place}")
        packet = packet.replace(place, added + place)
    body = packet.encode()
    head = b"%d 0 obj\n<</Length %d/Type/Metadata/Subtype/XML>>\nstream\n" % (number, len(body))
    written = b"".join([pdf, b"\n", head, body, b"\nendstream\nendobj\n\n"])
    return b"".join([
        written,
        b"xref\n0 1\n0000000000 65535 f\r\n%d 1\n%010d 00000 n\r\n" % (number, len(pdf) + 1),
        b"trailer\n<<%s/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (trailer, table, len(written)),
    ])  # fmt: skip


def _reference(text: bytes, name: bytes) -> int:
    found = re.search(rb"/%s (\d+) 0 R" % name, text)
    if found is None:
        raise ValueError(f"a PDF without {name.decode()}")
    return int(found[1])


def _object(pdf: bytes, table: int, number: int) -> bytes:
    """An object's text, or a stream's that is written as it is, up to where it ends."""
    entries = pdf.index(b"\n", table + len(b"xref\n")) + 1
    start = int(pdf[entries + number * _ENTRY :][:10])
    end = pdf.index(b"endobj", start)
    return pdf[start:end].partition(b"\nendstream")[0]
