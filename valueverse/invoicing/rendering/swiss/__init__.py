"""The Swiss QR bill: the payment part and receipt at the end of an invoice that is paid to an account in Switzerland or
Liechtenstein (Swiss Implementation Guidelines QR-bill 2.3, style guide QR-bill)."""

from valueverse.invoicing.rendering.swiss.payload import bill_of, payload, reference_of
from valueverse.invoicing.rendering.swiss.slip import slip_shown

__all__ = ["bill_of", "payload", "reference_of", "slip_shown"]
