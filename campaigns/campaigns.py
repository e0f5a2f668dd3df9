"""Campaigns: made, started, paused, resumed and stopped by people. Every move is audited."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns import fill, leads, lists
from campaigns.errors import BadSettings, CampaignExists, CampaignNotFound, IllegalMove
from campaigns.hours import Hours
from campaigns.presets import Preset, hours_of
from campaigns.settings import Settings
from campaigns.states import Move, after
from store.audit import audit
from store.database import Database
from store.models import Campaign, CampaignState, LeadState
from store.queries import insert_new

MODES = ("broadcast",)  # those that this version dials by itself


def create(
    session: Session,
    name: str,
    *,
    mode: str,
    list_name: str,
    trunk: str,
    settings: Settings,
    preset: Preset,
    actor: str,
    now: datetime,
) -> Campaign:
    """Make a campaign in the state `draft`. Its leads are made next, by `fill.make_leads`.

    Hours wider than the preset's are the operator's decision; the audit log keeps that they were
    chosen. Raises CampaignExists, ListNotFound, BadSettings.
    """
    name = name.strip()
    if not name:
        raise BadSettings("A campaign needs a name: give one that is not empty.")
    _can_run(mode, settings)
    values = settings.model_dump(mode="json")
    made = insert_new(
        session,
        Campaign,
        name=name,
        mode=mode,
        list_id=lists.get(session, list_name).id,
        trunk=trunk,
        settings=values,
        created_at=now,
    )
    if not made:
        raise CampaignExists(f"There is a campaign `{name}` already: choose another name.")
    audit(
        session, actor=actor, action="campaign.create", subject=name, now=now,
        list=list_name, trunk=trunk, settings=values, preset=preset,
        beyond_preset=beyond_preset(settings, preset),
    )  # fmt: skip
    return get(session, name)


def _can_run(mode: str, settings: Settings) -> None:
    if mode not in MODES:
        raise BadSettings(f"mode: `{mode}` is not one this version dials: use {', '.join(MODES)}.")
    if not (settings.message_text or settings.message_file):
        raise BadSettings("A broadcast needs a message: give a sound file or a text to be spoken.")


def beyond_preset(settings: Settings, preset: Preset) -> bool:
    """Whether a campaign's own hours go beyond those its preset allows for its purpose."""
    lawful = hours_of(preset, settings.purpose)
    if settings.hours is None or lawful is None:
        return False
    return not Hours.parse(settings.hours).within(lawful)


def get(session: Session, name: str) -> Campaign:
    """The campaign of that name; raises CampaignNotFound, naming the nearest."""
    found = session.scalar(select(Campaign).where(Campaign.name == name))
    if found is None:
        near = difflib.get_close_matches(name, session.scalars(select(Campaign.name)), n=1)
        hint = f" Did you mean `{near[0]}`?" if near else " `tongdai campaign status` lists them."
        raise CampaignNotFound(f"There is no campaign `{name}`.{hint}")
    return found


def all_of(session: Session) -> Sequence[Campaign]:
    """Every campaign, the newest first."""
    return session.scalars(select(Campaign).order_by(Campaign.created_at.desc())).all()


def start(session: Session, name: str, *, actor: str, now: datetime) -> Campaign:
    """Begin to dial; a completed campaign, again, for the numbers its list has gained since."""
    campaign = _locked(session, name)
    if campaign.state == CampaignState.COMPLETED and not fill.has_new_members(session, campaign):
        raise IllegalMove(
            f"Campaign `{name}` is completed and every number of its list is done: add numbers "
            "to the list first, or create a new campaign."
        )
    return _move(session, campaign, Move.START, actor=actor, now=now)


def pause(session: Session, name: str, *, actor: str, now: datetime) -> Campaign:
    """Dial nothing new; calls that are up end by themselves."""
    return _move(session, _locked(session, name), Move.PAUSE, actor=actor, now=now)


def resume(session: Session, name: str, *, actor: str, now: datetime) -> Campaign:
    """Go on after a pause."""
    return _move(session, _locked(session, name), Move.RESUME, actor=actor, now=now)


def stop(session: Session, name: str, *, actor: str, now: datetime) -> Campaign:
    """End for good; calls that are up end by themselves. `close_leads` closes what still waits."""
    return _move(session, _locked(session, name), Move.STOP, actor=actor, now=now)


def close_leads(db: Database, campaign_id: uuid.UUID, *, now: datetime) -> int:
    """Close the waiting leads of a stopped campaign, a batch a transaction; returns how many."""
    total = 0
    while True:
        with db.write() as session:
            closed = leads.sweep(session, campaign_id, now=now)
        if not closed:
            return total
        total += closed


def complete(session: Session, campaign_id: uuid.UUID, *, now: datetime) -> bool:
    """Mark a running campaign completed if no lead waits or is live; returns whether it was."""
    campaign = session.get_one(Campaign, campaign_id, with_for_update=True)
    if campaign.state != CampaignState.RUNNING or leads.is_any(
        session, campaign_id, LeadState.WAITING, LeadState.LIVE
    ):
        return False
    _move(session, campaign, Move.COMPLETE, actor="tongdai", now=now)
    return True


def _locked(session: Session, name: str) -> Campaign:
    return session.get_one(Campaign, get(session, name).id, with_for_update=True)


def _move(
    session: Session, campaign: Campaign, move: Move, *, actor: str, now: datetime
) -> Campaign:
    before, state = campaign.state, after(CampaignState(campaign.state), move, name=campaign.name)
    campaign.state = state
    if state is CampaignState.RUNNING:
        campaign.started_at, campaign.finished_at = campaign.started_at or now, None
    elif state in {CampaignState.STOPPED, CampaignState.COMPLETED}:
        campaign.finished_at = now
    moved: dict[str, Any] = {"from": before, "to": state}
    audit(session, actor=actor, action=f"campaign.{move}", subject=campaign.name, now=now, **moved)
    return campaign
