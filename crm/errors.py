"""What can go wrong with contacts and numbers: always a whole sentence for a person."""

from __future__ import annotations


class CrmError(Exception):
    """The base of everything `crm` raises on purpose."""


class NumberRefused(CrmError):
    """What was given is not a phone number that can be called."""


class UnknownRegion(CrmError):
    """The region of a number is not one phonenumbers knows."""


class ContactNotFound(CrmError):
    """No contact has that number, name or id."""
