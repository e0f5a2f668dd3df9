"""What can go wrong with the database.

    StoreError
     ├─ UnsupportedDatabase   the URL names a database Tongdai cannot use
     ├─ DatabaseNotReady      it is not there yet, or older than this program: `tongdai init`
     ├─ DatabaseTooNew        a newer Tongdai has migrated it
     ├─ DatabaseUnreachable   it cannot be opened, read or written at all
     ├─ DatabaseBusy          another program held its lock for too long
     └─ DatabaseFull          its disk is full

Every message is a whole sentence for a person: what happened, where, what to do.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError


class StoreError(Exception):
    """The base of everything the store raises on purpose."""


class UnsupportedDatabase(StoreError):
    """The URL names a kind of database Tongdai cannot use."""


class DatabaseNotReady(StoreError):
    """The database does not exist yet, or has not been migrated to this version."""


class DatabaseTooNew(StoreError):
    """The database was migrated by a newer Tongdai than this one."""


class DatabaseUnreachable(StoreError):
    """The database cannot be opened, read or written."""


class DatabaseBusy(StoreError):
    """Another program held the database's lock longer than we were ready to wait."""


class DatabaseFull(StoreError):
    """The disk that holds the database is full; the transaction was rolled back."""


def explain(error: DBAPIError, place: str, *, writing: bool = True) -> StoreError | None:
    """Turn a driver's error into one of ours, or None where it is a fault of the statement.

    To write in a transaction not opened for `writing` is such a fault. `place` is the database's
    URL without its password. SQLite is judged by its result code
    (https://sqlite.org/rescode.html), PostgreSQL by SQLSTATE (its manual, appendix A).
    """
    name = getattr(error.orig, "sqlite_errorname", None)
    if name == "SQLITE_READONLY" and not writing:
        return None
    if name is not None:
        return _explain_sqlite(name, error, place)
    state = getattr(error.orig, "sqlstate", None)
    return _explain_postgresql(state, error, place)


def _explain_sqlite(name: str, error: DBAPIError, place: str) -> StoreError | None:
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy(_BUSY.format(place=place))
    if name == "SQLITE_FULL":
        return DatabaseFull(_FULL.format(place=place))
    if name == "SQLITE_NOTADB":
        return DatabaseUnreachable(
            f"{place} is not a SQLite database: set `database` in tongdai.toml to another file."
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CORRUPT")):
        return DatabaseUnreachable(
            f"The database {place} cannot be used ({error.orig}): check that the file and its "
            "folder exist, are whole, and may be read and written by this user."
        )
    return None


def _explain_postgresql(state: str | None, error: DBAPIError, place: str) -> StoreError | None:
    if state in {"55P03", "40P01", "40001"}:  # lock not available, deadlock, serialization
        return DatabaseBusy(_BUSY.format(place=place))
    if state == "53100":
        return DatabaseFull(_FULL.format(place=place))
    gone = state is not None and state.startswith(("08", "28", "3D", "53", "57P"))
    if gone or error.connection_invalidated or _never_connected(error):
        return DatabaseUnreachable(
            f"The database {place} cannot be reached ({_first_line(error)}): check that the "
            "server runs and that `database` in tongdai.toml is right."
        )
    return None


def _never_connected(error: DBAPIError) -> bool:
    """Tell a connection that failed from a statement that did: only the latter has a statement."""
    return error.statement is None


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


_BUSY = (
    "The database {place} is locked by another program: wait until it has finished, "
    "or stop it, then try again."
)
_FULL = (
    "The disk that holds the database {place} is full: nothing of this step was saved. "
    "Make room, then try again."
)
