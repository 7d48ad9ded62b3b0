"""Documents that users write (YAML, JSON, NDJSON): strict reading, and every problem at once with its place."""

from valueverse.documents.changes import Change, tree_changes
from valueverse.documents.countries import COUNTRIES
from valueverse.documents.fields import (
    CURRENCY_SCHEMA,
    KEY_PATTERN,
    PRINTABLE,
    Amount,
    Between,
    CountryCode,
    Flag,
    Key,
    Percent,
    PositiveAmount,
    PositiveQuantity,
    Price,
    Quantity,
    ShareInPercent,
    Text,
    Whole,
)
from valueverse.documents.formats import JSON_NUMBER, UNSTORABLE, Format, exact_number, float_number
from valueverse.documents.json_lines import check_values, decode_line, encodable
from valueverse.documents.problem_text import problems_text
from valueverse.documents.problems import DocumentError, Problem, Problems
from valueverse.documents.reading import read_document
from valueverse.documents.schema_parts import (
    has,
    has_not_both,
    has_one_of,
    json_schema_of,
    number_schema,
    text_schema,
)
from valueverse.documents.source import Source, child_path
from valueverse.documents.validation import StrictModel, error_of, judge_object, validated, wrong

__all__ = [
    "COUNTRIES",
    "CURRENCY_SCHEMA",
    "JSON_NUMBER",
    "KEY_PATTERN",
    "PRINTABLE",
    "UNSTORABLE",
    "Amount",
    "Between",
    "Change",
    "CountryCode",
    "DocumentError",
    "Flag",
    "Format",
    "Key",
    "Percent",
    "PositiveAmount",
    "PositiveQuantity",
    "Price",
    "Problem",
    "Problems",
    "Quantity",
    "ShareInPercent",
    "Source",
    "StrictModel",
    "Text",
    "Whole",
    "check_values",
    "child_path",
    "decode_line",
    "encodable",
    "error_of",
    "exact_number",
    "float_number",
    "has",
    "has_not_both",
    "has_one_of",
    "json_schema_of",
    "judge_object",
    "number_schema",
    "problems_text",
    "read_document",
    "text_schema",
    "tree_changes",
    "validated",
    "wrong",
]
