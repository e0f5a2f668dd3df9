"""The audit log: who did what, when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from store.models import AuditLog


def audit(
    session: Session, *, actor: str, action: str, subject: str, now: datetime, **data: Any
) -> None:
    """Write one line of the audit log in the caller's transaction.

    `actor` is the operating system's user or an API token's name, `action` a noun and a verb
    (`dnc.remove`), `subject` what it was done to; `data` must be JSON.
    """
    session.add(AuditLog(actor=actor, action=action, subject=subject, at=now, data=data))
