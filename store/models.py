"""The schema, as typed SQLAlchemy models: design §4.

Times are UTC and timezone-aware; money is integer minor units; ids are UUIDv7 unless people
type them. A migration in `store/migrations` accompanies every change made here.
"""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.types import UtcDateTime, new_id

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The declarative base of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        str: Text(),
    }


class CampaignState(enum.StrEnum):
    """Where a campaign is in its life."""

    DRAFT = "draft"  # being prepared; nothing is dialled
    RUNNING = "running"
    PAUSED = "paused"  # live calls end by themselves, nothing new is dialled; can resume
    STOPPED = "stopped"  # ended by a person; never dials again
    COMPLETED = "completed"  # every lead is done


class LeadState(enum.StrEnum):
    """Where a lead is; exactly one at any instant."""

    WAITING = "waiting"  # may be claimed once next_at has come
    LIVE = "live"  # claimed under a lease: a call is being made
    DONE = "done"  # never dialled again in this campaign; `reason` says why


class Contact(Base):
    """A person or a company: one story per customer."""

    __tablename__ = "contact"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(default="person")  # person | company
    name: Mapped[str] = mapped_column(default="")
    name_key: Mapped[str] = mapped_column(default="")  # lower case, no accents
    language: Mapped[str | None]
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)  # custom fields
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ContactPoint(Base):
    """One identity of a contact: a phone in E.164, an e-mail, a Zalo id.

    Unique per kind and value: this is how a customer is recognised on any channel.
    """

    __tablename__ = "contact_point"
    __table_args__ = (UniqueConstraint("kind", "value"),)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    contact_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("contact.id"), index=True)
    kind: Mapped[str] = mapped_column(default="phone")
    value: Mapped[str]  # phone: E.164
    raw: Mapped[str | None]  # as it was written, where that differs
    created_at: Mapped[datetime]


class CallList(Base):
    """A named list of numbers to call."""

    __tablename__ = "call_list"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class ListMember(Base):
    """A number's place in a list, in the order it was imported."""

    __tablename__ = "list_member"
    __table_args__ = (
        Index("ix_list_member_list_id_position", "list_id", "position"),
        {"sqlite_with_rowid": False},  # its primary key is the row: one B-tree fewer to fill
    )
    list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call_list.id"), primary_key=True)
    contact_point_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("contact_point.id"), primary_key=True
    )
    position: Mapped[int]
    added_at: Mapped[datetime]


class Campaign(Base):
    """A campaign: whom to call, how, and when."""

    __tablename__ = "campaign"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    mode: Mapped[str]  # broadcast | preview | progressive | predictive
    state: Mapped[CampaignState] = mapped_column(String(16), default=CampaignState.DRAFT)
    # Null once the list of a finished campaign is deleted; the leads have the numbers.
    list_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("call_list.id"), index=True)
    trunk: Mapped[str]  # the name of a [[trunk]] in tongdai.toml
    # Everything else (message, keys, hours, ring time-out, retries…): campaigns.settings.Settings
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Lead(Base):
    """A contact's number in a campaign: state, attempts, next time, lease."""

    __tablename__ = "lead"
    __table_args__ = (
        UniqueConstraint("campaign_id", "number"),
        Index("ix_lead_due", "campaign_id", "state", "next_at", "position"),
        Index("ix_lead_lease", "state", "lease_until"),
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    campaign_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("campaign.id"))
    contact_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("contact.id"), index=True)
    number: Mapped[str]  # E.164
    position: Mapped[int]
    state: Mapped[LeadState] = mapped_column(String(8), default=LeadState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)  # calls that count against --attempts
    next_at: Mapped[datetime]
    result: Mapped[str | None] = mapped_column(String(20))  # of the last call
    reason: Mapped[str | None]  # why it is done: a result, or a rule of the gate
    caller_id: Mapped[str | None]  # stays the same across retries
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class CallRow(Base):
    """One row a call: the CDR. Written before its INVITE leaves, so that none is ever unknown."""

    __tablename__ = "call"
    __table_args__ = (
        Index("ix_call_campaign_id_started_at", "campaign_id", "started_at"),
        Index("ix_call_number_started_at", "number", "started_at"),
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    direction: Mapped[str] = mapped_column(String(3))  # in | out
    campaign_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("campaign.id"))
    lead_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lead.id"), index=True)
    contact_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("contact.id"), index=True)
    attempt: Mapped[int] = mapped_column(default=1)
    number: Mapped[str]  # the customer's number, E.164 where it is one
    caller_id: Mapped[str] = mapped_column(default="")  # what the other side was shown
    trunk: Mapped[str] = mapped_column(default="")
    owner: Mapped[str] = mapped_column(default="")  # the server process that makes it
    started_at: Mapped[datetime] = mapped_column(index=True)  # decided to dial, or INVITE came
    invited_at: Mapped[datetime | None]  # the INVITE left
    ringing_at: Mapped[datetime | None]  # first 18x or early media
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # null: the call is up, or its process died
    result: Mapped[str | None] = mapped_column(String(20))  # design §3; null while it is up
    sip_code: Mapped[int | None]
    sip_reason: Mapped[str | None]
    sip_call_id: Mapped[str | None]
    hangup_by: Mapped[str | None] = mapped_column(String(8))  # us | them | network
    amd: Mapped[str | None] = mapped_column(String(16))
    keys: Mapped[str] = mapped_column(default="")  # every key pressed, in order
    outcome: Mapped[str | None]  # what the key meant: interested, do_not_call…
    codec: Mapped[str | None] = mapped_column(String(8))
    packets_sent: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    packets_received: Mapped[int | None] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite")
    )
    packets_lost: Mapped[int | None]
    jitter_ms: Mapped[float | None]
    mos: Mapped[float | None]
    note: Mapped[str | None]  # one sentence where something went wrong


class CallEvent(Base):
    """The append-only story of a call."""

    __tablename__ = "call_event"
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))  # invite, ringing, answered, key, play, hangup…
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Suppression(Base):
    """A call *not* made, and the rule that forbade it."""

    __tablename__ = "suppression"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(index=True)
    campaign_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("campaign.id"), index=True)
    lead_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lead.id"))
    number: Mapped[str]
    rule: Mapped[str] = mapped_column(String(32))  # hours, dnc, daily_cap, stopped…
    until: Mapped[datetime | None]  # when it may be dialled again; null: never in this campaign
    detail: Mapped[str] = mapped_column(default="")


class DncEntry(Base):
    """A number that must not be called (or texted)."""

    __tablename__ = "dnc_entry"
    __table_args__ = (
        UniqueConstraint("number", "scope"),
        CheckConstraint("scope in ('all', 'voice', 'sms')", name="scope"),
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[str]  # E.164
    scope: Mapped[str] = mapped_column(String(8), default="all")
    source: Mapped[str]  # key, cli, import, api
    reason: Mapped[str] = mapped_column(default="")
    call_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("call.id"))  # the evidence
    created_at: Mapped[datetime]


class Recording(Base):
    """A recording of a call, catalogued."""

    __tablename__ = "recording"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    path: Mapped[str]  # relative to the home's recordings/
    state: Mapped[str] = mapped_column(String(12), default="recording")  # recording|complete|failed
    started_at: Mapped[datetime]
    duration_ms: Mapped[int | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    note: Mapped[str | None]


class AuditLog(Base):
    """Who did what, when."""

    __tablename__ = "audit_log"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]  # the operating system's user, or the API token's name
    action: Mapped[str]  # campaign.start, dnc.remove…
    subject: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
