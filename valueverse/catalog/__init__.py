"""Meters, plans, charges, coupons and taxes: what a tenant sells, as a document (contracts.md, 3)."""

from valueverse.catalog.amount_meters import AMOUNT_MARK, all_meters, amount_meter_key
from valueverse.catalog.bucket_rules import BucketRule, bucket_rules
from valueverse.catalog.checks import check_references
from valueverse.catalog.document import catalog_document, catalog_hash, parse_catalog
from valueverse.catalog.fields import dimension_text
from valueverse.catalog.history import BEGINNING, CatalogHistory, as_known
from valueverse.catalog.meters import LEVEL_AGGREGATIONS, PRORATED_AGGREGATIONS, Meter, MeterRule
from valueverse.catalog.metrics import RESERVED_PREFIXES, MartMetric
from valueverse.catalog.model import Catalog, Tax
from valueverse.catalog.plans import Charge, Period, Plan
from valueverse.catalog.prices import (
    Bucketed,
    Capacity,
    Dynamic,
    FormulaPrice,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Outcome,
    Package,
    Percentage,
    Standard,
    UnitPrice,
    Volume,
)
from valueverse.catalog.pricing import ChargePricing, parse_pricing

__all__ = [
    "AMOUNT_MARK",
    "BEGINNING",
    "LEVEL_AGGREGATIONS",
    "PRORATED_AGGREGATIONS",
    "RESERVED_PREFIXES",
    "BucketRule",
    "Bucketed",
    "Capacity",
    "Catalog",
    "CatalogHistory",
    "Charge",
    "ChargePricing",
    "Dynamic",
    "FormulaPrice",
    "Graduated",
    "GraduatedPercentage",
    "MartMetric",
    "Matrix",
    "Meter",
    "MeterRule",
    "Outcome",
    "Package",
    "Percentage",
    "Period",
    "Plan",
    "Standard",
    "Tax",
    "UnitPrice",
    "Volume",
    "all_meters",
    "amount_meter_key",
    "as_known",
    "bucket_rules",
    "catalog_document",
    "catalog_hash",
    "check_references",
    "dimension_text",
    "parse_catalog",
    "parse_pricing",
]
