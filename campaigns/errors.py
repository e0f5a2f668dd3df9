"""What can go wrong with campaigns, lists and imports: always a whole sentence for a person."""

from __future__ import annotations


class CampaignsError(Exception):
    """The base of everything `campaigns` raises on purpose."""


class ListNotFound(CampaignsError):
    """There is no call list of that name."""


class ListExists(CampaignsError):
    """A call list of that name is there already."""


class ListInUse(CampaignsError):
    """A campaign that is not finished still calls this list."""


class ImportRefused(CampaignsError):
    """The file cannot be imported at all; nothing was written."""


class NumberRefused(CampaignsError):
    """What was given is not a phone number that can be called."""
