"""A PDF/A-3 that says it is a Factur-X: the properties of the standard, added to the metadata that Typst writes."""

from __future__ import annotations

from io import BytesIO

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


def as_factur_x(pdf: bytes) -> bytes:
    """A PDF/A-3 of Typst with ``FACTUR_X_FILE`` attached, as Factur-X 1.0, profile EN 16931.

    The same PDF gives the same bytes; pages, fonts and attachments are copied as they are.

    Raises:
        ValueError: for a PDF without the metadata of PDF/A.
    """
    import pikepdf

    with pikepdf.open(BytesIO(pdf)) as opened:
        metadata = opened.Root.get("/Metadata")
        if metadata is None:
            raise ValueError("a PDF without metadata")
        packet = metadata.read_bytes().decode()
        for place, added in _PLACES.items():
            if packet.count(place) != 1:
                raise ValueError(f"metadata with {packet.count(place)} of {place}")
            packet = packet.replace(place, added + place)
        metadata.write(packet.encode())
        written = BytesIO()
        opened.save(
            written,
            # No clock and no random number: an invoice that is typeset again has the same bytes.
            deterministic_id=True,
            fix_metadata_version=False,
            stream_decode_level=pikepdf.StreamDecodeLevel.none,
            compress_streams=False,
        )
        return written.getvalue()
