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


class CampaignNotFound(CampaignsError):
    """There is no campaign of that name."""


class CampaignExists(CampaignsError):
    """A campaign of that name is there already."""


class IllegalMove(CampaignsError):
    """The campaign's state does not allow that."""


class BadSettings(CampaignsError):
    """A campaign's settings are not what they must be."""
