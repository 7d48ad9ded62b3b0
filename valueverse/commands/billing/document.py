"""``valueverse document``: an invoice document as a PDF for people or as XML for their systems."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from valueverse.commands.output import FileAsJson, check_file_answer, warnings_shown, wrote
from valueverse.errors import RefusalError


def _read(file: Path | None) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
        document = json.loads(text.strip().partition("\n")[0] if "\n" in text.strip() else text)
    except (OSError, ValueError) as error:
        raise RefusalError("unreadable_file", f"{file or 'standard input'}: {error}", "FILE") from error
    if not isinstance(document, dict):
        raise RefusalError("bad_document", "an invoice document is a JSON object", "FILE")
    return document


def register(app: typer.Typer) -> None:
    """Add ``document`` to the command line."""

    @app.command("document")
    def document(  # noqa: PLR0913, PLR0917 - options of a command
        file: Annotated[
            Path | None, typer.Argument(help="An invoice document (JSON); standard input by default.")
        ] = None,
        form: Annotated[str, typer.Option("--format", help="pdf; ubl (or xml) or cii: EN 16931.")] = "pdf",
        out: Annotated[Path | None, typer.Option("--out", help="Where to write; standard output by default.")] = None,
        seller: Annotated[str | None, typer.Option("--seller", help="Name of the tenant; its key by default.")] = None,
        seller_country: Annotated[str | None, typer.Option("--seller-country", help="Country code such as DE.")] = None,
        seller_tax_id: Annotated[
            str | None, typer.Option("--seller-tax-id", help="VAT identifier: DE123456789.")
        ] = None,
        buyer: Annotated[str | None, typer.Option("--buyer", help="Name of the customer; its key by default.")] = None,
        buyer_country: Annotated[str | None, typer.Option("--buyer-country", help="Country code such as DE.")] = None,
        catalog: Annotated[
            Path | None,
            typer.Option("--catalog", help="What it was billed by: display names, and the zone of its days."),
        ] = None,
        as_json: FileAsJson = False,
    ) -> None:
        """Typeset an invoice document, or write it as an electronic invoice.

        [dim]valueverse document invoice.json --catalog catalog.yaml --out invoice.pdf[/dim]
        """
        from valueverse.catalog import catalog_document
        from valueverse.invoicing.rendering import Parties, invoice_pdf, invoice_xml, known_syntax
        from valueverse.platform.settings import get_settings
        from valueverse.services.simulation.simulate import read_catalog

        check_file_answer(out, as_json=as_json)
        if form == "pdf" and out is None and sys.stdout.isatty():
            raise RefusalError("binary_output", "a PDF is no text for a terminal: give --out FILE, or a pipe", "--out")
        invoice, sold = _read(file), read_catalog(catalog) if catalog else None
        parties = Parties(
            seller or str(invoice.get("tenant", "")),
            buyer or str(invoice.get("customer", "")),
            seller_country,
            buyer_country,
            seller_tax_id,
            zones=(sold.timezone,) if sold else (),
        )
        names = catalog_document(sold) if sold else None
        if form == "pdf":
            with warnings_shown():
                body = invoice_pdf(invoice, parties, names, fonts=get_settings().fonts)
        else:
            syntax = known_syntax("ubl" if form == "xml" else form)
            body = invoice_xml(invoice, *parties.for_xml(), names, syntax=syntax)
        if out is None:
            sys.stdout.buffer.write(body)
        else:
            out.write_bytes(body)
            if as_json:
                wrote(out, as_json=True)
