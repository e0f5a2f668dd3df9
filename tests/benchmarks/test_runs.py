"""Each benchmark once in a tiny size: it runs, and yields its figures. Their values prove nothing.

They run in processes of their own, as `python -m benchmarks` has them: they block as they like.
"""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import pytest

from benchmarks import calls, import_contacts, media, setup
from benchmarks.report import Figure

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def apart(measure: Callable[..., Any], *sizes: object) -> Any:
    with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        return pool.submit(measure, *sizes).result(timeout=100)


def by_name(found: dict[str, Any]) -> dict[str, Figure]:
    return {figure.what: figure for figure in found["figures"]}


def test_live_calls() -> None:
    found = apart(calls.run, (5,), 1.0)
    figures = by_name(found)
    assert figures["5 calls: not answered"].measured == 0
    assert figures["5 calls: CPU per call"].peer_name == "pyVoIP at 5"
    assert figures["5 calls: packets lost"].measured is not None
    [tongdai] = found["details"]["tongdai"]
    for run in (tongdai["live"], found["details"]["peers"]["pyVoIP"]):
        heard = run["heard"]
        assert heard["evenness"]["streams"] == 5
        assert heard["evenness"]["received"] > 5 * 50 * run["seconds"] / 2
        assert heard["sent"] > 5 * 50 * run["seconds"] / 2
        assert heard["dropped"] == 0


def test_calls_set_up() -> None:
    found = apart(setup.run, (10,), 1.0)
    figures = by_name(found)
    for way in ("out", "in"):
        assert figures[f"10 calls/s {way}: failed"].measured == 0
        answered = figures[f"10 calls/s {way}: INVITE to 200, p99"]
        assert answered.measured
        assert answered.peer
    [details] = found["details"]
    assert {way: details[way]["latency"]["calls"] for way in ("sipp", "out", "in")} == {
        "sipp": 10, "out": 10, "in": 10,
    }  # fmt: skip


def test_import() -> None:
    assert apart(import_contacts.run, 500)["ratio"] > 0


def test_media() -> None:
    assert apart(partial(media.run, 5, seconds=1.0)).p99_ms >= 0
