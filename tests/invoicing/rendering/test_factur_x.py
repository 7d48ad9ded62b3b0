"""The electronic invoice inside of a PDF, as a reader of the standard finds it."""

from __future__ import annotations

import ctypes
import io
import xml.etree.ElementTree as ET
from typing import Any

import facturx
import pypdf
import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from tests.invoicing.rendering.test_presentation import CATALOG, document, parties
from valueverse.invoicing.rendering.electronic import as_factur_x, invoice_xml
from valueverse.invoicing.rendering.fonts import MissingGlyphs
from valueverse.invoicing.rendering.pdf import invoice_pdf

FX = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"


def attachments(pdf: bytes) -> list[bytes]:
    """The files in a PDF."""
    opened = pypdfium2.PdfDocument(pdf)
    found = []
    for place in range(pdfium.FPDFDoc_GetAttachmentCount(opened)):
        one, size = pdfium.FPDFDoc_GetAttachment(opened, place), ctypes.c_ulong()
        pdfium.FPDFAttachment_GetFile(one, None, 0, size)
        content = ctypes.create_string_buffer(size.value)
        pdfium.FPDFAttachment_GetFile(one, content, size.value, size)
        found.append(content.raw)
    return found


def test_a_pdf_is_archivable_and_has_the_electronic_invoice_inside() -> None:
    pdf = invoice_pdf(document(), parties(), CATALOG)
    assert attachments(pdf) == [invoice_xml(document(), *parties().for_xml(), CATALOG, syntax="cii")]
    assert pdf == invoice_pdf(document(), parties(), CATALOG)
    assert attachments(invoice_pdf(document(status="draft", number=None), parties())) == []
    assert attachments(invoice_pdf(document(status="voided"), parties())) == []


def test_a_pdf_is_a_factur_x_for_the_public_reader_and_keeps_what_was_typeset() -> None:
    pdf = invoice_pdf(document(), parties(), CATALOG)
    name, xml = facturx.get_facturx_xml_from_pdf(pdf, check_xsd=True)
    assert (name, xml) == ("factur-x.xml", attachments(pdf)[0])
    reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
    catalog: Any = reader.trailer["/Root"]
    metadata = ET.fromstring(catalog["/Metadata"].get_data())
    found = {element.tag.partition("}")[2]: element.text for element in metadata.iter() if element.tag.startswith(FX)}
    assert found == {
        "DocumentType": "INVOICE", "DocumentFileName": name, "Version": "1.0", "ConformanceLevel": "EN 16931",
    }  # fmt: skip
    described = [element.text for element in metadata.iter() if element.tag.endswith("namespaceURI")]
    assert described[-1] == FX[1:-1]
    assert [element.text for element in metadata.iter() if element.tag.endswith("}part")] == ["3"]
    (attached,) = catalog["/AF"]
    assert attached["/AFRelationship"] == "/Alternative"
    assert attached["/EF"]["/F"]["/Subtype"] == "/text/xml"
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice acme-000001"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"/Metadata ", b"/Matedata "), "without metadata"),
        ((b"</rdf:RDF>", b"</rdf:RdF>"), "0 of </rdf:RDF>"),
    ],
)
def test_a_pdf_that_is_written_in_another_way_is_not_announced(change: tuple[bytes, bytes], message: str) -> None:
    pdf = invoice_pdf(document(status="draft", number=None), parties())
    with pytest.raises(ValueError, match=message):
        as_factur_x(pdf.replace(*change))


def test_a_name_that_the_fonts_cannot_write_makes_a_plain_pdf_and_is_named() -> None:
    with pytest.warns(MissingGlyphs, match='no font can show "\U00013000": boxes stand for it'):
        pdf = invoice_pdf(document(), parties(buyer="\U00013000 Ltd"), CATALOG)
    assert b"pdfaid:part" not in pdf
    assert len(attachments(pdf)) == 1
