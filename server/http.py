"""The HTTP API: /healthz and /metrics for whoever watches, /api/v1 for who holds the token.

Errors are JSON too: {"error": {"id": "unknown_trunk", "message": "…"}}; the ids are stable.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from server.live import Live, UnknownTrunk

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024  # bytes: no request of this API carries much
LIVE = web.AppKey("live", Live)
TOKEN = web.AppKey("token", str)
REGISTRY = web.AppKey("registry", CollectorRegistry)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
routes = web.RouteTableDef()


def make_app(live: Live, token: str, registry: CollectorRegistry) -> web.Application:
    """The application; `token` is what every /api/ request must bear."""
    logging.getLogger("aiohttp.server").addFilter(is_http)
    app = web.Application(middlewares=[_errors, _authenticated], client_max_size=MAX_BODY)
    app[LIVE], app[TOKEN], app[REGISTRY] = live, token, registry
    app.add_routes(routes)
    return app


def is_http(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's log is about a request at all, and not about garbage.

    A scanner need not fill the log with tracebacks.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def refusal(status: int, error_id: str, message: str) -> web.Response:
    """An error as JSON, with a stable id and a sentence."""
    return web.json_response({"error": {"id": error_id, "message": message}}, status=status)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnknownTrunk as error:
        return refusal(404, "unknown_trunk", str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = f"{request.method} {request.path}: {error.reason}."
        return refusal(error.status, error.reason.lower().replace(" ", "_"), message)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refusal(500, "internal_error", "The server failed; its log says more.")


@web.middleware
async def _authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/api/") and not _bears(request, request.app[TOKEN]):
        response = refusal(
            401, "unauthorized", "Send the text of HOME/run/api-token as a bearer token."
        )
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    return await handler(request)


def _bears(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and same


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """200 while calls can be made, 503 when the database or the media is down."""
    health = await request.app[LIVE].health()
    return web.json_response(health.as_json(), status=503 if health.status == "down" else 200)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """The metrics, in Prometheus' text format."""
    body = generate_latest(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


@routes.get("/api/v1/status")
async def status(request: web.Request) -> web.Response:
    """Everything live: calls, trunks, calls per second, why a campaign does not dial."""
    return web.json_response(request.app[LIVE].snapshot().as_json())


@routes.get("/api/v1/calls")
async def calls(request: web.Request) -> web.Response:
    """The calls that are up."""
    return web.json_response(request.app[LIVE].snapshot().as_json()["calls"])


@routes.get("/api/v1/trunks")
async def trunks(request: web.Request) -> web.Response:
    """The trunks and their state."""
    return web.json_response(request.app[LIVE].snapshot().as_json()["trunks"])


@routes.post("/api/v1/trunks/{name}/check")
async def check_trunk(request: web.Request) -> web.Response:
    """Ask a carrier now whether it is there; a trunk that was forbidden may then be used again."""
    found = await request.app[LIVE].check_trunk(request.match_info["name"])
    return web.json_response(found.as_json())


@routes.post("/api/v1/wake")
async def wake(request: web.Request) -> web.Response:
    """Look at the database now instead of at the next turn."""
    request.app[LIVE].wake()
    return web.json_response({})
