"""One call: signalling and media joined, read from top to bottom by a script (design §3).

A script is a coroutine. Hang-up by the other side cancels it; when it returns the call is hung
up; either way the slot is given back and the story is complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivr.chronicle import Chronicle
from ivr.descriptions import Descriptions
from ivr.media import events as heard
from ivr.media.errors import MediaError
from ivr.media.prompts import Prompt
from ivr.media.session import MediaSession
from ivr.sip import session_events as sip
from ivr.sip.sdp import SdpError, Stream, agree, answer, parse_audio
from ivr.sip.session import Session
from ivr.slots import Slot
from ivr.story import CallStory, Side, printable
from ivr.typed import Typed

log = logging.getLogger(__name__)

Script = Callable[["Call"], Awaitable[None]]


class CallOver(Exception):
    """Something was asked of a call that has ended."""


@dataclass(frozen=True, slots=True)
class _Play:
    """A prompt that is being heard."""

    ended: asyncio.Future[str]
    barge_in: bool


class Call:
    """A call, in either direction. Made by `Phone`, never directly."""

    def __init__(
        self,
        *,
        session: Session,
        media: MediaSession,
        sdp: Descriptions,
        chronicle: Chronicle,
        slot: Slot | None,
        on_finished: Callable[[Call], None],
        max_seconds: float,
    ) -> None:
        self.chronicle = chronicle
        self.story = chronicle.story
        self.tell = chronicle.tell
        self.session = session
        self.media = media
        self.sdp = sdp
        self.redirect: tuple[str, ...] = ()
        loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[bool] = loop.create_future()  # True: answered
        self.over: asyncio.Future[None] = loop.create_future()
        self._slot = slot
        self._on_finished = on_finished
        self._typed = Typed()
        self._plays: dict[int, _Play] = {}
        self._amd: asyncio.Future[str] | None = None
        self._finishing: asyncio.Future[CallStory] | None = None
        self._limit = loop.call_later(max_seconds, self._too_long, max_seconds)
        session.on_event = self._signalled
        media.on_event = self._heard

    # -- what a script does ----------------------------------------------------------------

    async def play(self, prompt: Prompt, *, barge_in: bool = True) -> str:
        """Play a prompt to its end, or to the first key where `barge_in`.

        Returns the key that stopped it, or "". The key stays typed: `collect` reads it. With a
        key already typed, a prompt that can be barged in on is not begun.
        """
        self._require_up()
        if barge_in and self._typed.peek():
            return self._typed.peek()
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        play = self.media.play(prompt, barge_in=barge_in)
        self._plays[play] = _Play(ended, barge_in)
        self.tell("play", prompt=prompt.name, seconds=round(prompt.seconds, 2))
        try:
            await ended
        except asyncio.CancelledError:
            self.media.stop()
            raise
        finally:
            self._plays.pop(play, None)
        return self._typed.peek() if barge_in else ""

    async def collect(
        self, *, max_digits: int = 1, timeout: float = 5.0, terminator: str = "#"
    ) -> str:
        """Up to `max_digits` keys, typed ahead or waiting `timeout` seconds for each.

        The terminator ends the entry and is not part of it; as the only key asked for, any key
        counts, the terminator included.
        """
        self._require_up()
        digits = ""
        while len(digits) < max_digits:
            key = await self._typed.next(timeout)
            if not key or (key == terminator and max_digits > 1):
                break
            digits += key
        return digits

    async def detect_machine(self) -> str:
        """Wait for the verdict on who answered: human, machine, fax or notsure."""
        self._require_up()
        self._amd = asyncio.get_running_loop().create_future()
        self.media.detect_machine()
        verdict = await self._amd
        self.chronicle.judged(verdict)
        return verdict

    async def record(self, path: Path) -> None:
        """Record both directions to a two-channel WAV from now to the call's end."""
        self._require_up()
        self.media.record(path)
        self.tell("record", file=path.name)

    async def send_digits(self, digits: str) -> None:
        """Press keys towards the other side (RFC 4733)."""
        self._require_up()
        self.media.send_digits(digits)
        self.tell("send_digits", count=len(digits))

    async def bridge(self, other: Call) -> None:
        """Join two calls until either ends; then each is heard alone again."""
        self._require_up()
        other._require_up()
        self.media.bridge(other.media)
        self.tell("bridge", call=str(other.story.call_id))
        try:
            await _either(self.over, other.over)
        finally:
            self.media.unbridge()

    # -- an incoming call --------------------------------------------------------------------

    def ring(self) -> None:
        """Tell the caller that it rings (180)."""
        self._require_up()
        self.session.ring(180)
        self.chronicle.ringing()

    async def answer(self) -> None:
        """Answer an incoming call and wait until the audio is agreed.

        Raises CallOver where the caller has gone, or where no codec is shared (488).
        """
        self._require_up()
        offer = self.session.offer
        try:
            body = self.sdp.offer() if offer is None else self._answer_to(offer)
        except (SdpError, MediaError) as error:
            self.chronicle.note(str(error))
            self.reject(488)
            raise CallOver(f"call {self.story.call_id}: {error}") from error
        self.session.accept(body)
        await _either(self.settled, self.over)
        self._require_up()

    def reject(self, status: int, reason: str | None = None) -> None:
        """Refuse an incoming call."""
        self.story.sip_code = status
        self._ended("us")
        self.session.reject(status, reason)

    def stop_ringing(self) -> None:
        """Nobody takes it: cancel an outgoing call."""
        self.chronicle.gives_up()
        self.session.cancel()

    async def hangup(self) -> None:
        """Hang up."""
        self._hang_up("us")

    def abandon(self) -> None:
        """Note that a person answered and nobody came for them within the limit."""
        self.chronicle.abandoned()

    async def run(self, script: Script) -> CallStory:
        """Run a script to its end or to the hang-up; then the call is over and its story whole."""
        task = asyncio.ensure_future(script(self))
        try:
            try:
                await _either(task, self.over)
            finally:
                await self._end_script(task)
        finally:  # even where we are cancelled once more while the script cleans up
            await self.finish()
        return self.story

    async def _end_script(self, task: asyncio.Future[None]) -> None:
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        # That the other side hung up while the script asked for something is no fault.
        if isinstance(outcome, Exception) and not isinstance(outcome, CallOver):
            self._script_failed(outcome)

    # -- the end ---------------------------------------------------------------------------

    async def finish(self) -> CallStory:
        """Hang up if need be, close the media, decide the result, give the slot back."""
        if self._finishing is None:
            self._finishing = asyncio.ensure_future(self._finish())
        return await asyncio.shield(self._finishing)

    async def _finish(self) -> CallStory:
        try:
            self._hang_up("us")
            return self.chronicle.conclude(await self.media.close())
        finally:
            if self._slot is not None:
                self._slot.release()
            self._on_finished(self)

    def _too_long(self, seconds: float) -> None:
        """Nobody ends it: a far side that forgot a call must not hold its channel for ever."""
        self.chronicle.note(f"hung up after {seconds:g} s, the longest a call may last")
        self._hang_up("us")

    def _script_failed(self, error: Exception) -> None:
        log.error("call %s: its script failed", self.story.call_id, exc_info=error)
        self.chronicle.blame_ourselves(f"the script failed: {type(error).__name__}: {error}")

    def _hang_up(self, by: Side) -> None:
        self._ended(by)
        self.session.bye()  # or CANCEL, or 480: whatever fits its state; when it is over, nothing

    def _ended(self, by: Side) -> None:
        if self.over.done():
            return
        self._limit.cancel()
        self.chronicle.hung_up(by)
        self.over.set_result(None)
        for waiter in (*(play.ended for play in self._plays.values()), self._amd):
            if waiter is not None and not waiter.done():
                waiter.cancel()

    def _require_up(self) -> None:
        if self.over.done():
            raise CallOver(f"call {self.story.call_id} has ended")

    # -- what signalling says --------------------------------------------------------------

    def _signalled(self, event: sip.SessionEvent) -> None:
        match event:
            case sip.Ringing():
                self._rings(event)
            case sip.Accepted(sdp=sdp):
                self._accepted(sdp)
            case sip.Failed():
                self._failed(event)
            case sip.Offered(sdp=sdp):
                self._offered(sdp)
            case sip.Answered(sdp=sdp):
                self._connect(sdp)
            case sip.Keyed(digit=digit):
                self._pressed(digit, "info")
            case sip.Referred(reject=reject):
                reject(603)  # the customer does not send us elsewhere
            case sip.Ended(by=by, reason=reason):
                self.tell("hangup", by=by, reason=printable(reason))
                self._ended(by)
                self._settle(answered=False)

    def _rings(self, event: sip.Ringing) -> None:
        self.chronicle.rings(event)
        if event.sdp is not None:
            self._connect(event.sdp)

    def _accepted(self, sdp: bytes | None) -> None:
        self.chronicle.accepted()
        if self._connect(sdp) if sdp is not None else self.story.codec is not None:
            self._settle(answered=True)
            return
        self.chronicle.blame_ourselves("the other side's SDP could not be used")
        self._hang_up("us")
        self._settle(answered=True)

    def _failed(self, event: sip.Failed) -> None:
        by = self.chronicle.failed(event)
        self.redirect = event.redirect
        self._settle(answered=False)
        self._ended(by)

    def _settle(self, *, answered: bool) -> None:
        if not self.settled.done():
            self.settled.set_result(answered)

    def _offered(self, sdp: bytes) -> None:
        """A re-INVITE or UPDATE with an offer: hold, or the audio goes somewhere else."""
        try:
            body = self._answer_to(sdp) if sdp else self.sdp.offer()
        except (SdpError, MediaError) as error:
            self.tell("offer_refused", why=printable(str(error)))
            self.session.reject_offer(488)
        else:
            self.session.answer_offer(body)
            self.tell("reoffered")

    def _answer_to(self, sdp: bytes) -> bytes:
        """Our answer to an offer; the media goes that way at once. Raises SdpError, MediaError."""
        offer = parse_audio(sdp)
        ours = answer(offer, self.sdp.ours)
        self._stream(agree(ours, offer))
        return self.sdp.answer(sdp, ours)

    def _connect(self, sdp: bytes) -> bool:
        try:
            self._stream(agree(self.sdp.ours, parse_audio(sdp)))
        except (SdpError, MediaError) as error:
            self.chronicle.note(str(error))
            return False
        return True

    def _stream(self, stream: Stream) -> None:
        """Send the media there. Raises MediaError for an address that RTP cannot be sent to."""
        self.media.connect(
            host=stream.host,
            port=stream.port,
            codec=stream.codec,
            payload_type=stream.payload_type,
            dtmf_payload_type=stream.dtmf_payload_type,
            direction=stream.direction,
            ptime=stream.ptime,
        )
        self.story.codec = stream.codec
        # Without telephone-events the only keys there can be are tones in the audio.
        self.media.detect_inband(stream.dtmf_payload_type is None)

    # -- what the media says ---------------------------------------------------------------

    def _heard(self, event: heard.MediaEvent) -> None:
        match event:
            case heard.Digit(digit=digit, source=source):
                self._pressed(digit, source)
            case heard.PlayEnded(id=play, reason=reason):
                known = self._plays.get(play)
                if known is not None and not known.ended.done():
                    known.ended.set_result(reason)
            case heard.Amd(verdict=verdict, detail=detail):
                self.tell("amd", verdict=verdict, detail=detail)
                if self._amd is not None and not self._amd.done():
                    self._amd.set_result(verdict)
            case heard.RtpStopped(silent_for=seconds):
                self.chronicle.note(f"no audio came from the other side for {seconds:.0f} s")
                self._hang_up("network")
            case heard.RecordingFailed(reason=reason):
                self.chronicle.note(reason)
                self.tell("recording_failed", reason=reason)
            case heard.WorkerDied(reason=reason):
                self.chronicle.blame_ourselves(reason)
                self._hang_up("us")

    def _pressed(self, digit: str, source: str) -> None:
        if self.chronicle.pressed(digit, source):
            self._typed.press(digit)
            # RTP keys stop the prompt in the worker itself.
            if source == "info" and all(play.barge_in for play in self._plays.values()):
                self.media.stop()


async def _either(one: asyncio.Future[Any], other: asyncio.Future[Any]) -> None:
    await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
