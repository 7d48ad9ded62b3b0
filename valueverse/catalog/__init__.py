"""Meters, plans, charges, coupons and taxes: what a tenant sells, as a document (contracts.md, 3)."""

from valueverse.catalog.document import catalog_document, catalog_hash, parse_catalog
from valueverse.catalog.history import CatalogHistory
from valueverse.catalog.model import Catalog

__all__ = ["Catalog", "CatalogHistory", "catalog_document", "catalog_hash", "parse_catalog"]
