"""Invoice documents as people and their systems read them: PDF and EN 16931 XML."""

from valueverse.invoicing.rendering.billed_days import billed_days
from valueverse.invoicing.rendering.credit_notes.credit_note_document import BookedCreditNote, credit_note_document
from valueverse.invoicing.rendering.display_names import DisplayNames
from valueverse.invoicing.rendering.document_hash import finalise, invoice_id, invoice_number
from valueverse.invoicing.rendering.electronic import Syntax, invoice_xml, known_syntax
from valueverse.invoicing.rendering.explanation.explained_invoice import ExplainedInvoice
from valueverse.invoicing.rendering.explanation.line_facts import (
    ChangedEvents,
    Correction,
    ExplainedLine,
    LineFacts,
    OtherLine,
    QuantityPart,
)
from valueverse.invoicing.rendering.explanation.measured import agreeing
from valueverse.invoicing.rendering.history import InvoiceHistory, OtherInvoice
from valueverse.invoicing.rendering.invoice_documents import build_invoice_documents
from valueverse.invoicing.rendering.locale_formats import LocaleFormats
from valueverse.invoicing.rendering.parties import Parties
from valueverse.invoicing.rendering.pdf import invoice_pdf

__all__ = [
    "BookedCreditNote",
    "ChangedEvents",
    "Correction",
    "DisplayNames",
    "ExplainedInvoice",
    "ExplainedLine",
    "InvoiceHistory",
    "LineFacts",
    "LocaleFormats",
    "OtherInvoice",
    "OtherLine",
    "Parties",
    "QuantityPart",
    "Syntax",
    "agreeing",
    "billed_days",
    "build_invoice_documents",
    "credit_note_document",
    "finalise",
    "invoice_id",
    "invoice_number",
    "invoice_pdf",
    "invoice_xml",
    "known_syntax",
]
