"""What /metrics says, in a registry of its own.

Counters grow as calls end; gauges are read from the running server when they are asked for. No
label carries a number, a name or anything else personal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ivr.story import CallStory, StoryEvent
from reports import metrics as definitions
from server.live import MediaLive, Snapshot

SETUP_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60)
TALK_SECONDS = (1, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
MOS = (1.0, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4)


class Metrics:
    """The server's metrics. `tell` is to be the phone's `on_story`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "tongdai_calls",
            "Calls that ended",
            ["direction", "trunk", "result"],
            registry=self.registry,
        )
        self.pdd = Histogram(
            "tongdai_post_dial_delay_seconds",
            definitions.DEFINITIONS["PDD"],
            ["trunk"],
            buckets=SETUP_SECONDS,
            registry=self.registry,
        )
        self.talk = Histogram(
            "tongdai_talk_seconds",
            definitions.DEFINITIONS["Talk"],
            ["trunk"],
            buckets=TALK_SECONDS,
            registry=self.registry,
        )
        self.mos = Histogram(
            "tongdai_mos",
            definitions.DEFINITIONS["MOS"],
            ["trunk"],
            buckets=MOS,
            registry=self.registry,
        )
        self.packets = Counter(
            "tongdai_rtp_packets",
            "RTP packets of calls that ended",
            ["kind"],
            registry=self.registry,
        )

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """Read the gauges from the running server whenever /metrics is asked for."""
        self.registry.register(_Gauges(snapshot))

    def tell(self, story: CallStory, event: StoryEvent) -> None:
        """Count a call when its story ends."""
        if event.kind != "end":
            return
        self.calls.labels(story.direction, story.trunk, str(story.result)).inc()
        pdd = definitions.post_dial_delay(story.invited_at, story.ringing_at)
        talk = definitions.talk_time(story.answered_at, story.ended_at)
        for histogram, value in ((self.pdd, pdd), (self.talk, talk), (self.mos, story.mos)):
            if value is not None:
                histogram.labels(story.trunk).observe(value)
        for kind in ("sent", "received", "lost"):
            self.packets.labels(kind).inc(getattr(story, f"packets_{kind}") or 0)


class _Gauges(Collector):
    """The gauges, read at the moment of asking."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not ask for a snapshot."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family a gauge."""
        now = self._snapshot()
        up = GaugeMetricFamily("tongdai_calls_up", "Calls that are up or being set up")
        up.add_metric([], len(now.calls))
        yield up
        rate = GaugeMetricFamily(
            "tongdai_calls_per_second", "Calls dialled in the last ten seconds, by ten"
        )
        rate.add_metric([], now.calls_per_second)
        yield rate
        yield from _media(now.media)
        yield from _trunks(now)


def _media(media: MediaLive) -> Iterator[Metric]:
    figures = {
        "tongdai_media_workers": ("Media processes that run", media.workers),
        "tongdai_media_workers_replaced": ("Media processes that died", media.replaced),
        "tongdai_media_sessions": ("Calls with a media port", media.sessions),
        "tongdai_media_late_seconds": (
            "99 % of the media plane's wake-ups came within this", media.late_ms / 1000
        ),
    }  # fmt: skip
    for name, (text, value) in figures.items():
        family = GaugeMetricFamily(name, text)
        family.add_metric([], value)
        yield family


def _trunks(now: Snapshot) -> Iterator[Metric]:
    up = GaugeMetricFamily("tongdai_trunk_up", "1 where calls may be sent", labels=["trunk"])
    used = GaugeMetricFamily("tongdai_trunk_channels_used", "Channels in use", labels=["trunk"])
    most = GaugeMetricFamily("tongdai_trunk_channels", "Channels there are", labels=["trunk"])
    for trunk in now.trunks:
        up.add_metric([trunk.name], trunk.state == "up")
        used.add_metric([trunk.name], trunk.calls)
        most.add_metric([trunk.name], trunk.max_calls)
    yield from (up, used, most)
