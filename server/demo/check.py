"""Did Tongdai get everything right? The diaries of the simulated people beside its own records.

What is expected of a call is read off the diary alone: what the person did, not what he was cast
to do. Every call is matched by its SIP Call-ID, both ways: a call nobody remembers having had is
as wrong as one that is not on record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.demo.diary import Entry
from server.demo.people import Act
from server.demo.records import CallRecord, Records

KEY_OUTCOMES: Mapping[str, str] = {"1": "interested", "2": "do_not_call"}
HEARD_AT_LEAST = 0.98  # of the message, by who listened to the end
NOTHING = "-"

# What a refusal is called; 480 is the phone's own after it rang, else the network's.
_REFUSALS = {404: "invalid_number", 480: "unreachable", 486: "busy", 603: "rejected"}
_ABSENT = {404: Act.UNKNOWN, 480: Act.SWITCHED_OFF}  # by what the carrier says for them


@dataclass(frozen=True, slots=True)
class Lived:
    """One call as the person, or the carrier in his place, experienced it."""

    number: str
    act: str = ""
    result: str = ""
    keys: str = ""
    hangup_by: str = ""
    heard: str = ""  # a file

    @property
    def outcome(self) -> str:
        """Return what the keys meant; the wish not to be called again wins."""
        meant = [KEY_OUTCOMES[key] for key in self.keys if key in KEY_OUTCOMES]
        return "do_not_call" if "do_not_call" in meant else next(iter(meant), "")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that happened one way and is on record another."""

    number: str
    what: str
    lived: str
    recorded: str


def live(entries: Iterable[Entry]) -> dict[str, Lived]:
    """Read the diaries: every call by its Call-ID, in the order they began."""
    calls: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.at):
        calls[entry.call_id].append(entry)
    return {call_id: _lived(of_one) for call_id, of_one in calls.items()}


def _lived(entries: Sequence[Entry]) -> Lived:
    happened = {entry.what: entry.detail for entry in entries}
    status = happened.get("refused", {}).get("status", 0)
    act = happened["rang"]["act"] if "rang" in happened else _ABSENT.get(status, "")
    by = "them" if "hung up" in happened else "us" if "caller hung up" in happened else ""
    return Lived(
        number=entries[0].number,
        act=act,
        result=_result(happened, act, status),
        keys="".join(entry.detail["key"] for entry in entries if entry.what == "pressed"),
        hangup_by=by,
        heard=happened.get("heard", {}).get("file", ""),
    )


def _result(happened: Container[str], act: str, status: int) -> str:
    if "answered" in happened:
        return "machine" if act == Act.MACHINE else "answered"
    if "caller gave up" in happened:
        return "no_answer"
    if status == 480 and "rang" in happened:
        return "no_answer"
    return _REFUSALS.get(status, "")


def compare(lived: Mapping[str, Lived], records: Records) -> list[Difference]:
    """Return everything in which the calls, the leads and the lists differ, by number."""
    found = [
        *_missing(lived, records.calls),
        *(d for id_ in lived.keys() & records.calls for d in _call(lived[id_], records.calls[id_])),
        *_do_not_call(list(lived.values()), records),
        *_leads(lived.values(), records),
    ]
    return sorted(found, key=lambda difference: (difference.number, difference.what))


def _missing(
    lived: Mapping[str, Lived], recorded: Mapping[str, CallRecord]
) -> Iterator[Difference]:
    for call_id in lived.keys() - recorded.keys():
        call = lived[call_id]
        yield Difference(call.number, "call", call.result or "rang", "not on record")
    for call_id in recorded.keys() - lived.keys():
        record = recorded[call_id]
        yield Difference(record.number, "call", "knows of none", record.result)


def _call(lived: Lived, record: CallRecord) -> Iterator[Difference]:
    pairs = [
        ("number", lived.number, record.number),
        ("result", lived.result, record.result),
        ("keys", lived.keys, record.keys),
        ("outcome", lived.outcome, record.outcome),
    ]
    if lived.hangup_by:
        pairs.append(("hung up by", lived.hangup_by, record.hangup_by))
    if lived.hangup_by == "us":  # who hangs up at once may be gone before there is a sound
        pairs.append(("recording", "spoke", "spoke" if record.recorded else "is not there"))
    for what, ours, theirs in pairs:
        if ours != theirs:
            yield Difference(lived.number, what, ours or NOTHING, theirs or NOTHING)


def _do_not_call(lived: Collection[Lived], records: Records) -> Iterator[Difference]:
    """Who asked never to be called again is on the list, and nobody else by a key."""
    asked = {call.number for call in lived if call.outcome == "do_not_call"}
    for number in sorted(asked ^ records.asked_not_to_be_called):
        yield Difference(
            number,
            "do not call",
            "asked" if number in asked else "did not ask",
            "is on the list" if number in records.asked_not_to_be_called else "is not on the list",
        )
    last = {call.number: call for call in lived}
    for number in sorted(asked):
        if last[number].outcome != "do_not_call":
            yield Difference(number, "do not call", "asked", "called again")


def _leads(lived: Iterable[Lived], records: Records) -> Iterator[Difference]:
    """Nobody is left over, nobody is called more often than allowed or against his wish."""
    calls = Counter(call.number for call in lived)
    for number, lead in records.leads.items():
        rang = calls[number]
        if lead.state != "done":
            yield Difference(number, "state", f"rang {rang} times", lead.state)
        if number in records.never_call and rang:
            yield Difference(number, "do not call", f"rang {rang} times", "was on the list")
        if number not in records.never_call and not 1 <= rang <= records.attempts:
            allowed = f"1 to {records.attempts} calls"
            yield Difference(number, "calls", f"rang {rang} times", allowed)
        if rang != lead.calls:
            yield Difference(number, "calls", f"rang {rang} times", f"{lead.calls} on record")


def listened(lived: Iterable[Lived]) -> list[Lived]:
    """Return the calls in which someone listened to the end without doing anything."""
    return [call for call in lived if call.act == Act.LISTENS and call.hangup_by == "us"]


def unheard(lived: Iterable[Lived], share: Mapping[str, float]) -> Iterator[Difference]:
    """Yield who listened to the end and did not hear the message; `share` is by file."""
    for call in listened(lived):
        part = share.get(call.heard, 0.0)
        if part < HEARD_AT_LEAST:
            yield Difference(call.number, "message", f"heard {part:.0%} of it", "played")
