"""Where a call that one trunk did not put through may go instead: pure rules about our money."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ivr.sip.message import parse_uri
from ivr.trunk import TrunkConfig, from_carrier, pick_caller_id

if TYPE_CHECKING:
    from ivr.trunks import Trunk

_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")


def diverted_to(redirect: Sequence[str], trunk: Trunk, number: str) -> str | None:
    """How the first Contact of a 3xx that may be followed writes the number that was dialled.

    Followed is what a carrier's redirect server says: the same number, written in its way, at the
    same trunk. Any other Contact would let whoever answers send our calls, and our money,
    anywhere, and would ring somebody whom no list and no rule has passed.
    """
    for contact in redirect:
        uri = parse_uri(contact)
        user = unquote(uri.user or "")
        here = uri.host in trunk.addresses or uri.host == trunk.config.host
        if here and _NUMBER.fullmatch(user) and from_carrier(user, trunk.config) == number:
            return user
    return None


def shown_by(after: TrunkConfig, before: TrunkConfig, caller_id: str, number: str) -> str:
    """The caller ID to show by way of another trunk: carriers refuse each other's numbers.

    One that was not of the trunk before was chosen by a campaign, and stays.
    """
    if caller_id in after.caller_ids or caller_id not in before.caller_ids:
        return caller_id
    return pick_caller_id(after.caller_ids, number)
