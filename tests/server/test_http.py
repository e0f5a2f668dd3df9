"""The HTTP API over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from prometheus_client.parser import text_string_to_metric_families

from ivr.result import Result
from ivr.story import CallStory, StoryEvent
from server.client import Client, ServerNotRunning, ServerRefused
from server.http import MAX_BODY, make_app
from server.live import Health
from server.metrics import Metrics
from server.rundir import RunDir
from store.types import new_id
from tests.server.fakes import NOON, SNAPSHOT, FakeLive

TOKEN = "a-token"


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


@pytest.fixture
def metrics(live: FakeLive) -> Metrics:
    made = Metrics()
    made.watch(live.snapshot)
    return made


@pytest.fixture
async def url(live: FakeLive, metrics: Metrics) -> AsyncIterator[str]:
    runner = web.AppRunner(make_app(live, TOKEN, metrics.registry), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def ask(
    url: str, path: str, *, method: str = "GET", token: str | None = TOKEN, **more: Any
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        ClientSession(headers=headers) as session,
        session.request(method, url + path, **more) as response,
    ):
        return response.status, await response.json()


async def test_status_is_the_snapshot_with_times_in_iso_8601(url: str) -> None:
    status, body = await ask(url, "/api/v1/status")
    assert status == 200
    assert body == {
        "version": "0.1.0",
        "pid": 4711,
        "started_at": "2026-11-20T05:00:00.000+00:00",
        "at": "2026-11-20T05:00:00.000+00:00",
        "stopping": False,
        "calls": [
            {
                "call_id": "01a20045-d274-7ce7-b68d-a874a99cde81",
                "campaign": "tet",
                "direction": "out",
                "number": "+84912345678",
                "trunk": "carrier",
                "state": "ringing",
                "started_at": "2026-11-20T05:00:00.000+00:00",
                "answered_at": None,
                "keys": "",
            }
        ],
        "calls_per_second": 0.1,
        "trunks": [
            {
                "name": "carrier",
                "host": "udp:192.0.2.1:5060",
                "state": "up",
                "reason": "",
                "since": "2026-11-20T05:00:00.000+00:00",
                "calls": 1,
                "max_calls": 100,
                "calls_per_second": 10.0,
                "registered": None,
            }
        ],
        "campaigns": {"tet": {"calls_per_second": 0.1, "condition": ""}},
        "media": {"workers": 1, "replaced": 0, "sessions": 1, "late_ms": 0.5},
    }


async def test_calls_and_trunks_are_its_parts(url: str) -> None:
    _, whole = await ask(url, "/api/v1/status")
    assert (await ask(url, "/api/v1/calls"))[1] == whole["calls"]
    assert (await ask(url, "/api/v1/trunks"))[1] == whole["trunks"]


@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/nowhere", "/api/"])
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", "á"])
async def test_without_the_token_nobody_gets_in(url: str, path: str, token: str | None) -> None:
    status, body = await ask(url, path, token=token)
    assert (status, body["error"]["id"]) == (401, "unauthorized")


async def test_another_scheme_does_not_do(url: str) -> None:
    async with ClientSession(headers={"Authorization": f"Basic {TOKEN}"}) as session:
        response = await session.get(f"{url}/api/v1/status")
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("health", "code", "status"),
    [
        (Health("ok", "ok", {"carrier": "up"}), 200, "ok"),
        (Health("ok", "ok", {}), 200, "ok"),
        (Health("ok", "ok", {"a": "up", "b": "forbidden"}), 200, "degraded"),
        (Health("down", "ok", {"carrier": "up"}), 503, "down"),
        (Health("ok", "down", {"carrier": "down"}), 503, "down"),
    ],
)
async def test_health_is_open_and_says_what_is_wrong(
    url: str, live: FakeLive, health: Health, code: int, status: str
) -> None:
    live.condition = health
    assert await ask(url, "/healthz", token=None) == (
        code,
        {
            "status": status,
            "database": health.database,
            "media": health.media,
            "trunks": health.trunks,
        },
    )


async def test_metrics_are_open_and_hold_nothing_personal(url: str, metrics: Metrics) -> None:
    story = CallStory(
        new_id(),
        "out",
        "+84912345678",
        trunk="carrier",
        invited_at=NOON,
        result=Result.ANSWERED,
        keys="1",
        packets_received=99,
        mos=4.1,
    )
    metrics.tell(story, StoryEvent(NOON, "key", {"digit": "1"}))
    metrics.tell(story, StoryEvent(NOON, "end"))
    async with ClientSession() as session, session.get(f"{url}/metrics") as response:
        text = await response.text()
    assert "912345678" not in text
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tongdai_calls_total", "out", "answered", "carrier"] == 1
    assert samples["tongdai_rtp_packets_total", "received"] == 99
    assert samples["tongdai_calls_up",] == 1
    assert samples["tongdai_trunk_up", "carrier"] == 1
    assert samples["tongdai_trunk_channels_used", "carrier"] == 1
    assert samples["tongdai_mos_count", "carrier"] == 1


async def test_wake_reaches_the_dialler(url: str, live: FakeLive) -> None:
    assert await ask(url, "/api/v1/wake", method="POST") == (200, {})
    assert live.woken == 1


async def test_errors_are_json_with_stable_ids(url: str, live: FakeLive) -> None:
    assert await ask(url, "/api/v1/nowhere") == (
        404,
        {"error": {"id": "not_found", "message": "GET /api/v1/nowhere: Not Found."}},
    )
    status, body = await ask(url, "/api/v1/wake")
    assert (status, body["error"]["id"]) == (405, "method_not_allowed")
    assert await ask(url, "/api/v1/trunks/other/check", method="POST") == (
        404,
        {
            "error": {
                "id": "unknown_trunk",
                "message": "The server has no trunk “other”; it has: carrier.",
            }
        },
    )
    live.fault = RuntimeError("secret detail")
    assert await ask(url, "/api/v1/status") == (
        500,
        {"error": {"id": "internal_error", "message": "The server failed; its log says more."}},
    )


# -- the client of the command line ----------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, url: str) -> Iterator[Path]:
    with RunDir(tmp_path) as run:
        run.token = TOKEN
        run.announce(url)
        yield tmp_path


async def test_the_client_finds_the_server_and_proves_itself(home: Path, live: FakeLive) -> None:
    client = Client(home)
    status = await asyncio.to_thread(client.status)
    assert status["pid"] == SNAPSHOT.pid
    await asyncio.to_thread(client.wake)
    assert live.woken == 1
    assert await asyncio.to_thread(client.check_trunk, "carrier") == {
        "name": "carrier",
        "well": True,
        "state": "up",
        "said": "200 OK",
    }


async def test_the_client_repeats_the_servers_sentence(home: Path) -> None:
    with pytest.raises(ServerRefused, match=r"^The server has no trunk “a/b”; it has: carrier\.$"):
        await asyncio.to_thread(Client(home).check_trunk, "a/b")


async def test_a_server_that_is_down_is_an_answer(home: Path, live: FakeLive) -> None:
    live.condition = Health("down", "ok", {})
    assert (await asyncio.to_thread(Client(home).health))["status"] == "down"


def test_no_server_on_this_home(tmp_path: Path) -> None:
    with pytest.raises(ServerNotRunning) as refused:
        Client(tmp_path).status()
    assert str(refused.value) == (f"No server runs on {tmp_path}: start one with `tongdai serve`.")


def test_a_server_that_died_is_said_not_to_answer(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "api-token").write_text("x")
    (tmp_path / "run" / "api-url").write_text("http://127.0.0.1:1")
    with pytest.raises(ServerNotRunning, match=r"^The server at 127\.0\.0\.1:1 does not answer"):
        Client(tmp_path).status()


async def test_something_else_on_the_port(tmp_path: Path) -> None:
    async def shop(_request: web.Request) -> web.Response:
        return web.Response(text="<h1>A shop</h1>")

    app = web.Application()
    app.router.add_get("/api/v1/status", shop)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    run = tmp_path / "run"
    await asyncio.to_thread(run.mkdir)
    await asyncio.to_thread((run / "api-token").write_text, "x")
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await asyncio.to_thread((run / "api-url").write_text, url)
    try:
        with pytest.raises(ServerNotRunning, match="is not the server of"):
            await asyncio.to_thread(Client(tmp_path).status)
    finally:
        await runner.cleanup()


async def test_a_body_nobody_asked_for_does_no_harm(url: str) -> None:
    status, _ = await ask(url, "/api/v1/wake", method="POST", data=b"x" * (MAX_BODY * 4))
    assert status in {200, 413}


async def test_garbage_on_the_port_does_no_harm(url: str) -> None:
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x00\xff garbage\r\n\r\n" * 100)
    writer.close()
    assert (await ask(url, "/healthz"))[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01 TLS\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"]
)
async def test_garbage_gets_400_and_no_line_in_the_log(
    url: str, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(garbage)
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await ask(url, "/healthz"))[0] == 200
    assert not caplog.records


async def test_the_server_of_another_home_on_the_port_is_not_ours(url: str, home: Path) -> None:
    (home / "run" / "api-token").write_text("left by a server that was killed")
    with pytest.raises(ServerNotRunning, match=rf"^What answers at {url} is not the server of"):
        await asyncio.to_thread(Client(home).wake)
