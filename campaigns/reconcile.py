"""Putting right what a dead process left behind: live leads and calls whose end nobody saw.

Such a call may have rung. It gets the result `failed` and a note, counts as an attempt and
against the cap of calls per number, and its lead waits like after any failed call: nothing is
dialled again blindly.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from campaigns.settings import Settings
from campaigns.settle import LOST, EndedCall, conclude
from ivr.result import Result
from store.models import CallRow, Campaign, CampaignState, Lead, LeadState

BATCH = 1000  # leads of one transaction
LONGEST_CALL = timedelta(days=2)  # how far back an open call is looked for


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found and put right."""

    calls: int = 0  # open calls now on record as failed
    waiting: int = 0  # leads that will be called again
    done: int = 0  # leads that will not

    @property
    def leads(self) -> int:
        """How many leads were found without anyone behind them."""
        return self.waiting + self.done

    def __add__(self, other: Reconciled) -> Reconciled:
        return Reconciled(
            self.calls + other.calls, self.waiting + other.waiting, self.done + other.done
        )

    def __bool__(self) -> bool:
        return bool(self.calls or self.leads)


def expired(now: datetime, *, but: Collection[uuid.UUID] = ()) -> ColumnElement[bool]:
    """Leads whose lease ran out: nobody is behind them. `but`: calls of ours known to be up."""
    return and_(Lead.lease_until < now, Lead.id.not_in(but))


def left_by(node: str, owner: str) -> ColumnElement[bool]:
    """Leads of earlier processes of this node, `owner` being the one that asks."""
    return and_(Lead.lease_owner.startswith(f"{node}#", autoescape=True), Lead.lease_owner != owner)


def reconcile(session: Session, which: ColumnElement[bool], now: datetime) -> Reconciled:
    """Put right up to BATCH live leads that `which` picks, and their calls.

    Call it again until it finds nothing.
    """
    leads = session.execute(
        select(Lead.id, Lead.campaign_id, Lead.attempts)
        .where(Lead.state == LeadState.LIVE, which)
        .order_by(Lead.campaign_id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not leads:
        return Reconciled()
    ended = [
        EndedCall(campaign_id, lead_id, attempts, Result.FAILED, invited=True)
        for lead_id, campaign_id, attempts in leads
    ]
    calls = _fail(session, CallRow.lead_id.in_([call.lead_id for call in ended]), now)
    waiting = sum(
        _conclude(session, campaign_id, list(group), now)
        for campaign_id, group in groupby(ended, lambda call: call.campaign_id)
    )
    return Reconciled(calls, waiting, len(ended) - waiting)


def _conclude(
    session: Session, campaign_id: uuid.UUID, calls: Sequence[EndedCall], now: datetime
) -> int:
    """Move the leads of one campaign; returns how many of them wait again."""
    campaign = session.get_one(Campaign, campaign_id, with_for_update={"read": True})
    settings = Settings.load(campaign.settings)
    state = CampaignState(campaign.state)
    moved = [conclude(session.connection(), call, state, settings, now) for call in calls]
    return sum(settled.state is LeadState.WAITING for settled in moved)


def close_calls(session: Session, node: str, owner: str, now: datetime) -> int:
    """Close the calls without a lead (incoming ones) that earlier processes of this node left."""
    return _fail(
        session,
        and_(
            CallRow.started_at > now - LONGEST_CALL,
            CallRow.lead_id.is_(None),
            CallRow.owner.startswith(f"{node}#", autoescape=True),
            CallRow.owner != owner,
        ),
        now,
    )


def _fail(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    """Mark open calls failed. They may have rung, so their INVITE is taken to have left."""
    closed: Any = session.execute(
        update(CallRow)
        .where(CallRow.ended_at.is_(None), which)
        .values(
            ended_at=now,
            invited_at=func.coalesce(CallRow.invited_at, CallRow.started_at),
            result=Result.FAILED,
            note=LOST,
        )
        .execution_options(synchronize_session=False)
    )
    return int(closed.rowcount)


def renew(session: Session, leads: Collection[uuid.UUID], owner: str, until: datetime) -> int:
    """Lengthen the leases of our live calls; returns how many still were ours."""
    renewed: Any = session.execute(
        update(Lead)
        .where(Lead.id.in_(leads), Lead.state == LeadState.LIVE, Lead.lease_owner == owner)
        .values(lease_until=until)
        .execution_options(synchronize_session=False)
    )
    return int(renewed.rowcount)
