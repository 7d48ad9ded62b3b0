"""Finalised documents (contracts.md, section 4), whose text was hashed, as the frames that the journal books from."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from valueverse.errors import RefusalError
from valueverse.money import minor_units
from valueverse.schemas.ledger import DOCUMENT_CREDITS, DOCUMENT_INVOICES, DOCUMENT_LINES
from valueverse.schemas.types import INSTANT

_TEXT = pl.String()
_PERIOD = pl.Struct({"from": _TEXT, "to": _TEXT})
_TOTALS = ("discount_total", "tax_total", "total", "credit_total")
_DOCUMENT = pl.Struct(
    {
        **dict.fromkeys(("number", "tenant", "customer", "currency", "issued_on", "content_hash", *_TOTALS), _TEXT),
        "lines": pl.List(pl.Struct({"amount": _TEXT, "service_period": _PERIOD})),
        "credits": pl.List(pl.Struct({"kind": _TEXT, "key": _TEXT, "amount": _TEXT})),
    }
)
_AMOUNTS = {"amount_minor", "discount_minor", "tax_minor", "total_minor", "credit_minor"}


@dataclass(frozen=True)
class LedgerDocuments:
    """DOCUMENT_INVOICES, DOCUMENT_LINES and DOCUMENT_CREDITS of a set of documents."""

    invoices: pl.DataFrame
    lines: pl.DataFrame
    credits: pl.DataFrame

    def detailed(self, discounts: pl.DataFrame, origins: pl.DataFrame) -> LedgerDocuments:
        """The same with what a document does not say.

        Args:
            discounts: tenant, number, line_no, discount_minor.
            origins: tenant, number, position, origin of credits.
        """
        lines = self.lines.drop("discount_minor").join(
            discounts, on=["tenant", "number", "line_no"], how="left", maintain_order="left"
        )
        paid = self.credits.drop("origin").join(
            origins, on=["tenant", "number", "position"], how="left", maintain_order="left"
        )
        return LedgerDocuments(
            self.invoices,
            lines.select(DOCUMENT_LINES.names()).cast(DOCUMENT_LINES),
            paid.select(DOCUMENT_CREDITS.names()).cast(DOCUMENT_CREDITS),
        )

    @classmethod
    def none(cls) -> LedgerDocuments:
        """No document."""
        return cls(DOCUMENT_INVOICES.to_frame(), DOCUMENT_LINES.to_frame(), DOCUMENT_CREDITS.to_frame())


def read_documents(texts: pl.DataFrame) -> LedgerDocuments:
    """Read documents.

    Args:
        texts: document (JSON text), timezone: the zone whose days its service periods count in.

    A draft has no number: it goes by the first 16 digits of its content hash. A document given twice counts once.

    Raises:
        RefusalError: ``bad_document`` for text that is no invoice document, with the row (from 0) in the path, and for
            one that does not add up, with its number.
    """
    if texts.is_empty():
        return LedgerDocuments.none()
    try:
        parsed = texts.select("timezone", pl.col("document").str.json_decode(_DOCUMENT).alias("of")).unnest("of")
        _judge(parsed)
        whole = _with_decimals(parsed).with_columns(
            pl.coalesce("number", pl.col("content_hash").str.head(16)).alias("number")
        )
        named = whole.unique(["tenant", "number"], keep="first", maintain_order=True)
        found = LedgerDocuments(_invoices(named), _lines(named), _credits(named))
    except pl.exceptions.PolarsError as error:
        row = _first_odd(texts["document"])
        raise RefusalError("bad_document", "this is no invoice document (contracts.md, 4)", f"[{row}]") from error
    _judge_amounts(found)
    _judge_sums(found)
    return found


def _judge_amounts(found: LedgerDocuments) -> None:
    for frame in (found.invoices, found.lines, found.credits):
        amounts = _AMOUNTS.intersection(frame.columns) if frame is not found.lines else {"amount_minor"}
        odd = frame.filter(pl.any_horizontal(pl.col(sorted(amounts)).is_null()))
        if not odd.is_empty():
            number = odd["number"][0]
            raise RefusalError(
                "bad_document", f"invoice {number!r}: an amount is text with the currency's decimals", number
            )


def _first_odd(texts: pl.Series) -> int:
    """The row of the first text that is no JSON object; of those alone in question, the first of all."""
    for row, text in enumerate(texts):
        try:
            if not isinstance(json.loads(text), dict):
                return row
        except ValueError:
            return row
    return 0


def _judge_sums(found: LedgerDocuments) -> None:
    """Refuse a document that does not add up: its entry would not balance."""
    by = ["tenant", "number"]
    lines = found.lines.group_by(by).agg(pl.col("amount_minor").sum().alias("lines"))
    paid = found.credits.group_by(by).agg(pl.col("amount_minor").sum().alias("credits"))
    rows = (
        found.invoices.join(lines, on=by, how="left", maintain_order="left")
        .join(paid, on=by, how="left", maintain_order="left")
        .with_columns(pl.col("lines", "credits").fill_null(0))
    )
    total = pl.col("lines") - pl.col("discount_minor") + pl.col("tax_minor")
    odd = rows.filter((total != pl.col("total_minor")) | (pl.col("credits") != pl.col("credit_minor")))
    if not odd.is_empty():
        number = odd["number"][0]
        raise RefusalError(
            "bad_document", f"invoice {number!r} does not add up: lines less discounts plus tax give no total", number
        )


def _judge(parsed: pl.DataFrame) -> None:
    needed = ("tenant", "customer", "currency", "issued_on", *_TOTALS, "lines")
    nameless = pl.col("number").is_null() & pl.col("content_hash").is_null()
    lacking = parsed.with_row_index("row").filter(
        pl.any_horizontal(pl.col(name).is_null() for name in needed) | nameless
    )
    if not lacking.is_empty():
        row = lacking.row(0, named=True)
        missing = next((name for name in needed if row[name] is None), "number")
        raise RefusalError("bad_document", f"an invoice document needs {missing!r}", f"[{row['row']}]")


def _with_decimals(parsed: pl.DataFrame) -> pl.DataFrame:
    decimals = {code: minor_units(code) for code in parsed["currency"].unique()}
    return parsed.with_columns(pl.col("currency").replace_strict(decimals, return_dtype=pl.Int8).alias("decimals"))


def _minor(amount: pl.Expr) -> pl.Expr:
    """Shown amounts (with exactly the currency's decimals) as minor units: the same digits without the point.

    Null for what is no such amount.
    """
    decimals = amount.str.extract(r"^-?\d+(?:\.(\d+))?$", 1).str.len_chars().fill_null(0)
    digits = pl.when(decimals == pl.col("decimals")).then(amount.str.replace(".", "", literal=True))
    return digits.cast(pl.Int64, strict=False)


def _instant(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).cast(INSTANT)


def _invoices(whole: pl.DataFrame) -> pl.DataFrame:
    return whole.select(
        "tenant", "number", "customer", "currency", "timezone",
        pl.col("issued_on").str.to_date("%F"),
        _minor(pl.col("discount_total")).alias("discount_minor"),
        _minor(pl.col("tax_total")).alias("tax_minor"),
        _minor(pl.col("total")).alias("total_minor"),
        _minor(pl.col("credit_total")).alias("credit_minor"),
    ).cast(DOCUMENT_INVOICES)  # fmt: skip


def _lines(whole: pl.DataFrame) -> pl.DataFrame:
    each = (
        whole.select("tenant", "number", "decimals", "lines")
        .explode("lines", empty_as_null=False)
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant", "number").alias("line_no"))
        .unnest("lines")
    )
    period = pl.col("service_period").struct
    return each.select(
        "tenant", "number", "line_no",
        _instant(period.field("from")).alias("service_from"),
        _instant(period.field("to")).alias("service_to"),
        _minor(pl.col("amount")).alias("amount_minor"),
        pl.lit(None, pl.Int64).alias("discount_minor"),
    ).cast(DOCUMENT_LINES)  # fmt: skip


def _credits(whole: pl.DataFrame) -> pl.DataFrame:
    each = (
        whole.select("tenant", "number", "decimals", pl.col("credits").fill_null([]))
        .explode("credits", empty_as_null=False)
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant", "number").alias("position"))
        .unnest("credits")
    )
    return each.select(
        "tenant", "number", "position", "kind", "key", pl.lit(None, pl.String).alias("origin"),
        _minor(pl.col("amount")).alias("amount_minor"),
    ).cast(DOCUMENT_CREDITS)  # fmt: skip
