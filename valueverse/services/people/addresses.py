"""Addresses of people, in one form: what a person is found by."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from valueverse.errors import RefusalError

LONGEST = 254
"""Letters of an address (RFC 5321, section 4.5.3.1.3)."""


def normal_address(text: str, path: str = "email") -> str:
    """An address as it is stored: checked for its form, Unicode in NFC, in lower case throughout.

    Mail servers that distinguish upper and lower case before the @ are allowed by RFC 5321 and do not exist; people who
    write their address in another case exist.

    Raises:
        RefusalError: ``bad_email`` at ``path``.
    """
    try:
        found = validate_email(text[: LONGEST + 1], check_deliverability=False)
    except EmailNotValidError as error:
        raise RefusalError("bad_email", f"this is no address of mail: {error}", path) from error
    return found.normalized.lower()
