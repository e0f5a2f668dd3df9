"""The command line's way to the server that runs on the same home."""

from __future__ import annotations

import http.client
import json
from collections.abc import Container
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from server.rundir import TOKEN, URL, ServerError

TIMEOUT = 10.0  # seconds: a trunk that is asked may take its time


class ServerNotRunning(ServerError):
    """No server runs on this home, or it does not answer."""


class ServerRefused(ServerError):
    """The server answered with an error; the message is its own."""


class Client:
    """Asks the server. Every method raises ServerNotRunning or ServerRefused."""

    def __init__(self, home: Path, *, timeout: float = TIMEOUT) -> None:
        self._home = home
        self._timeout = timeout

    def status(self) -> dict[str, Any]:
        """Everything live: see server.live.Snapshot."""
        return self._ask("GET", "/api/v1/status")

    def wake(self) -> None:
        """Let the server look at the database now."""
        self._ask("POST", "/api/v1/wake")

    def check_trunk(self, name: str) -> dict[str, Any]:
        """Ask a carrier whether it is there: name, well, state, said."""
        return self._ask("POST", f"/api/v1/trunks/{quote(name, safe='')}/check")

    def health(self) -> dict[str, Any]:
        """The server's own view of its parts; a server that is down is an answer too."""
        return self._ask("GET", "/healthz", good={200, 503})

    def _ask(
        self, method: str, path: str, *, good: Container[int] = frozenset({200})
    ) -> dict[str, Any]:
        status, body = self._exchange(method, path)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status == 401 or not isinstance(answer, dict):
            # A server that was killed leaves its address behind, where another may listen now.
            raise ServerNotRunning(
                f"What answers at {self._read(URL)} is not the server of {self._home}: none runs "
                "there; start one with `tongdai serve`."
            )
        if status not in good:
            raise ServerRefused(answer.get("error", {}).get("message", f"{path}: {status}"))
        return answer

    def _exchange(self, method: str, path: str) -> tuple[int, bytes]:
        address = urlsplit(self._read(URL))
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=self._timeout
        )
        try:
            connection.request(
                method, path, headers={"Authorization": f"Bearer {self._read(TOKEN)}"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerNotRunning(
                f"The server at {address.netloc} does not answer ({error}): is it running? "
                "See `tongdai doctor`."
            ) from error
        finally:
            connection.close()

    def _read(self, name: str) -> str:
        try:
            return (self._home / "run" / name).read_text(encoding="utf-8").strip()
        except OSError:
            raise ServerNotRunning(
                f"No server runs on {self._home}: start one with `tongdai serve`."
            ) from None
