"""The phone: every trunk, every call, one SIP address and one media plane (design §3)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote

from phonenumbers import NumberParseException

from ivr.admission import LagMeter
from ivr.call import Call
from ivr.chronicle import Chronicle
from ivr.descriptions import Descriptions
from ivr.doors import Doors
from ivr.elsewhere import diverted_to, shown_by
from ivr.media.errors import MediaError
from ivr.media.events import MediaReport
from ivr.media.plane import MediaConfig, MediaPlane
from ivr.media.session import MediaSession
from ivr.result import Result
from ivr.sip.authenticator import Secret
from ivr.sip.endpoint import Endpoint
from ivr.sip.errors import SipError
from ivr.sip.message import Address, SipUri, parse_uri, stringify_uri
from ivr.sip.registrar import Registrar
from ivr.sip.scheduler import Scheduler
from ivr.sip.sdp import CODECS, Audio
from ivr.sip.session import Session
from ivr.sip.trace import TraceRecord
from ivr.sip.useragent import UserAgent
from ivr.slots import Slot
from ivr.story import CallFailed, CallStory, OnStory, StoryEvent, printable
from ivr.trunk import TrunkConfig, as_user, from_carrier, to_carrier
from ivr.trunks import Trunk, TrunkDown, TrunkState

log = logging.getLogger(__name__)

# Refusals that say the carrier never tried: the next trunk may (design §3: congestion).
TRY_NEXT_TRUNK = frozenset({Result.CONGESTION})
GIVING_UP = 40.0  # seconds for the answer to a CANCEL; SIP itself ends it after 64*T1 = 32
PARTING = 2.0  # seconds, when closing, for BYE and CANCEL to be answered or sent again


@dataclass(frozen=True, slots=True)
class PhoneConfig:
    """Where to listen and how much to take on. `users` may register, by name."""

    bind: str = "0.0.0.0:5060"
    external_address: str = ""
    realm: str = "tongdai"
    max_calls: int = 2000  # beyond this, and when the loop lags, new INVITEs get 503
    max_seconds: float = 4 * 3600.0  # a call that neither side ends is ended after this
    users: Mapping[str, Secret] = field(default_factory=dict)


class Phone:
    """Makes and takes calls. `on_call` is run for each incoming call, as its script."""

    def __init__(
        self,
        config: PhoneConfig,
        trunks: Sequence[TrunkConfig],
        media: MediaConfig,
        *,
        trace: Callable[[TraceRecord], None] | None = None,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.config = config
        self.endpoint = Endpoint(trace=trace, scheduler=scheduler)
        self.agent = UserAgent(self.endpoint)
        self.plane = MediaPlane(media)
        self.trunks = {trunk.name: Trunk(trunk, self.agent) for trunk in trunks}
        self.registrar = Registrar(config.users.get, config.realm)
        self.calls: dict[uuid.UUID, Call] = {}
        self.on_call: Callable[[Call], Awaitable[None]] | None = None
        self.on_story: Callable[[CallStory, StoryEvent], None] | None = None
        self.lag = LagMeter()
        self.doors = Doors(
            self.trunks,
            self.registrar,
            users_exist=bool(config.users),
            room=self._room,
            lag=self.lag,
        )
        self._answering: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> None:
        """Open the media plane and the SIP address, then watch the trunks.

        `close` is due even where this raises (TransportError, PlaneDown).
        """
        await self.plane.start()
        self.endpoint.screen = self.doors.screen
        self.agent.on_invite = self._invited
        self.agent.handlers["REGISTER"] = self.registrar.handle
        await self.endpoint.listen(self.config.bind, external_address=self.config.external_address)
        self.lag.start()
        await asyncio.gather(*(trunk.start() for trunk in self.trunks.values()))

    async def close(self) -> None:
        """Hang up whatever is up, unregister, and close every socket and worker.

        From the first moment on no call is made or taken. Far sides that do not answer our BYE
        or CANCEL are waited for as long as it takes to send it a few times.
        """
        self._closing = True
        self.lag.stop()
        for call in self.calls.values():
            if not call.chronicle.facts.answered:
                call.chronicle.blame_ourselves("the server stopped before it was answered")
        ending = [call.finish() for call in list(self.calls.values())]
        await asyncio.gather(*ending, return_exceptions=True)
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await asyncio.gather(*(trunk.close() for trunk in self.trunks.values()))
        await self.agent.settle(PARTING)
        self.agent.close()
        await self.endpoint.close()
        await self.plane.close()

    # -- outgoing --------------------------------------------------------------------------

    async def reserve(self, trunk: str) -> Slot:
        """A slot of the trunk, or of the first of its fail-over list that is up; waits for one.

        Raises TrunkDown, with the reason of the first, when none of them takes calls.
        """
        if self._closing:
            raise TrunkDown(trunk, "closed: the phone is stopping")
        first = self._trunk(trunk)
        for candidate in (first, *map(self._trunk, first.config.failover)):
            if candidate.state is TrunkState.UP:
                return await candidate.acquire()
        raise TrunkDown(trunk, f"{first.state}: {first.reason}")

    async def dial(
        self,
        number: str,
        *,
        slot: Slot,
        caller_id: str = "",
        ring_timeout: float = 30.0,
        call_id: uuid.UUID | None = None,
        on_event: OnStory = lambda _: None,
    ) -> Call:
        """Call a number; the call that was answered, or CallFailed with the story of why not.

        The slot is given back when the call ends, in every case. A trunk that refuses at the
        door is followed by the next of its fail-over list that has a slot at once, with a caller
        ID of that trunk's own. Cancelling this sends CANCEL, or BYE if it is too late for that.
        """
        call_id = call_id or uuid.uuid4()
        user: str | None = None
        while True:
            trunk = self._trunk(slot.trunk)
            story = CallStory(call_id, "out", number, caller_id=caller_id, trunk=slot.trunk)
            call = await self._place(trunk, user, story, slot, on_event)
            await self._wait_for_answer(call, ring_timeout)
            if call.chronicle.facts.answered:
                return call
            await call.finish()
            if story.result is Result.FORBIDDEN:
                trunk.forbid(f"{story.sip_code} {story.sip_reason}")
            user, another = self._elsewhere(call, trunk, diverted=user is not None)
            if another is None:
                raise CallFailed(story)
            next_config = self._trunk(another.trunk).config
            caller_id = shown_by(next_config, trunk.config, caller_id, number)
            slot = another

    def _elsewhere(
        self, call: Call, trunk: Trunk, *, diverted: bool
    ) -> tuple[str | None, Slot | None]:
        """Where a call that did not get through may be tried at once: the user and a slot.

        A diversion (3xx) is followed once, back to the same trunk and to the same number.
        """
        if user := not diverted and diverted_to(call.redirect, trunk, call.story.number):
            call.tell("diverted", to=user)
            return user, trunk.try_acquire()
        if call.story.result in TRY_NEXT_TRUNK:
            for name in trunk.config.failover:
                if slot := self._trunk(name).try_acquire():
                    call.tell("failover", trunk=name)
                    return None, slot
        return None, None

    async def _place(
        self, trunk: Trunk, user: str | None, story: CallStory, slot: Slot, on_event: OnStory
    ) -> Call:
        """Send the INVITE."""
        media = await self._open_media(story, slot, trunk.peer.host)
        sdp = Descriptions(Audio(media.host, media.port, trunk.config.codecs))
        try:
            dialled = user or to_carrier(story.number, trunk.config)
            session = self._invite(trunk, dialled, story.caller_id, sdp)
        except (SipError, ValueError, NumberParseException) as error:
            failed = _not_dialled(story, slot, error)
            await media.close()
            raise failed from error
        chronicle = Chronicle(story, self._listener(story, on_event))
        chronicle.invited(dialled, session.id)
        return self._call(session, media, sdp, chronicle, slot)

    def _invite(self, trunk: Trunk, dialled: str, caller_id: str, sdp: Descriptions) -> Session:
        """Raises ValueError and SipError for what cannot be dialled."""
        if not dialled or self._closing:
            raise ValueError("The phone is stopping." if dialled else "There is no number to dial.")
        host = trunk.config.host
        shown = to_carrier(caller_id, replace(trunk.config, prefix="")) or trunk.user
        ours = SipUri(user=as_user(shown), host=host)
        return self.agent.invite(
            uri=trunk.uri(dialled),
            to=trunk.peer,
            from_=Address(uri=ours),
            to_addr=Address(uri=SipUri(user=as_user(dialled), host=host)),
            sdp=sdp.offer(),
            credentials=trunk.credentials,
            headers=[("P-Asserted-Identity", f"<{stringify_uri(ours)}>")],
        )

    def _call(
        self,
        session: Session,
        media: MediaSession,
        sdp: Descriptions,
        chronicle: Chronicle,
        slot: Slot | None,
    ) -> Call:
        call = Call(
            session=session,
            media=media,
            sdp=sdp,
            chronicle=chronicle,
            slot=slot,
            on_finished=self._forget,
            max_seconds=self.config.max_seconds,
        )
        self.calls[call.story.call_id] = call
        return call

    async def _open_media(self, story: CallStory, slot: Slot, toward: str) -> MediaSession:
        try:
            return await self.plane.open(call_id=str(story.call_id), toward=toward)
        except MediaError as error:
            raise _not_dialled(story, slot, error) from error
        except BaseException:
            slot.release()
            raise

    async def _wait_for_answer(self, call: Call, ring_timeout: float) -> None:
        """Until it is answered, refused, or has rung too long and the CANCEL is answered."""
        try:
            await asyncio.wait({call.settled}, timeout=ring_timeout)
            if not call.settled.done():
                call.stop_ringing()
                await asyncio.wait({call.settled}, timeout=GIVING_UP)
                # Whatever kept its end from us, the slot must not wait for it any longer.
                call.session.close("no end came of it")
        except asyncio.CancelledError:
            call.chronicle.blame_ourselves("the server stopped while it was calling")
            await call.finish()
            raise

    # -- incoming --------------------------------------------------------------------------

    def _invited(self, session: Session) -> None:
        task = asyncio.create_task(self._take(session), name=f"incoming {session.id}")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _take(self, session: Session) -> None:
        """Find out whose call it is, then run `on_call` as its script."""
        trunk = self.doors.trunk_of(session.source)
        if trunk is None and not self.doors.proved(session):
            return
        story = _incoming_story(session, trunk)
        chronicle = Chronicle(story, self._listener(story, None))
        chronicle.tell("incoming", dialled=story.caller_id, trunk=story.trunk)
        slot = trunk.try_channel() if trunk else None
        if trunk is not None and slot is None:
            chronicle.note(
                f"no channel of {story.trunk} was free (max_calls = {trunk.config.max_calls})"
            )
            _turn_away(session, chronicle)
            return
        try:
            media = await self._open_media(story, slot or Slot("", (), None), session.source.host)
        except CallFailed:
            chronicle.blame_ourselves(str(story.note))
            _turn_away(session, chronicle)
            return
        except asyncio.CancelledError:
            chronicle.blame_ourselves("the server stopped as the call came in")
            _turn_away(session, chronicle)
            raise
        codecs = trunk.config.codecs if trunk else CODECS
        sdp = Descriptions(Audio(media.host, media.port, codecs))
        call = self._call(session, media, sdp, chronicle, slot)
        await call.run(self.on_call or _nobody_there)

    # -- what there is ---------------------------------------------------------------------

    def _room(self) -> int:
        """How many calls more may come in."""
        return 0 if self._closing else self.config.max_calls - len(self.calls)

    def _trunk(self, name: str) -> Trunk:
        try:
            return self.trunks[name]
        except KeyError:
            known = ", ".join(sorted(self.trunks)) or "none"
            raise TrunkDown(name, f"not configured (configured: {known})") from None

    def _listener(self, story: CallStory, on_event: OnStory | None) -> OnStory:
        def tell(event: StoryEvent) -> None:
            if on_event is not None:
                on_event(event)
            if self.on_story is not None:
                self.on_story(story, event)

        return tell

    def _forget(self, call: Call) -> None:
        if self.calls.get(call.story.call_id) is call:
            del self.calls[call.story.call_id]


def _incoming_story(session: Session, trunk: Trunk | None) -> CallStory:
    caller = printable(unquote(session.remote.uri.user or "anonymous"))
    dialled = printable(unquote(parse_uri(session.request.uri).user or ""))
    if trunk is not None:
        caller, dialled = from_carrier(caller, trunk.config), from_carrier(dialled, trunk.config)
    return CallStory(
        uuid.uuid4(),
        "in",
        caller,
        caller_id=dialled,
        trunk=trunk.config.name if trunk else "",
        sip_call_id=printable(session.id),
    )


def _turn_away(session: Session, chronicle: Chronicle) -> None:
    """There is no room for an incoming call: it hears 503, and its story is complete."""
    session.reject(503, headers=[("Retry-After", "5")])
    chronicle.story.sip_code = 503
    chronicle.hung_up("us")
    story = chronicle.conclude(MediaReport())
    log.error("incoming call from trunk %s turned away: %s", story.trunk or "none", story.note)


def _not_dialled(story: CallStory, slot: Slot, error: Exception) -> CallFailed:
    """The end of a call that never left this machine: our own fault, and nobody was rung."""
    slot.release()
    story.result, story.note = Result.FAILED, str(error)
    story.ended_at, story.hangup_by = datetime.now(UTC), "us"
    return CallFailed(story)


async def _nobody_there(call: Call) -> None:
    call.reject(480)
