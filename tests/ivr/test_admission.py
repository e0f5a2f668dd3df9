"""Who gets in."""

import asyncio

import pytest

from ivr.admission import LAG_LIMIT, LagMeter, Load, judge

QUIET = Load(room=10, lag=0.0)
FULL = Load(room=0, lag=0.0)
LATE = Load(room=10, lag=LAG_LIMIT * 2)


@pytest.mark.parametrize(
    ("method", "source", "users", "load", "verdict"),
    [
        ("INVITE", "trunk", False, QUIET, "accept"),
        ("INVITE", "phone", True, QUIET, "accept"),
        ("INVITE", "stranger", True, QUIET, "drop"),
        ("OPTIONS", "trunk", False, QUIET, "accept"),
        ("OPTIONS", "stranger", True, QUIET, "drop"),
        ("MESSAGE", "stranger", True, QUIET, "drop"),
        ("REGISTER", "stranger", True, QUIET, "ask_registrar"),
        ("REGISTER", "stranger", False, QUIET, "drop"),
        ("REGISTER", "trunk", False, QUIET, "drop"),
        ("INVITE", "trunk", False, FULL, "overloaded"),
        ("INVITE", "trunk", False, LATE, "overloaded"),
        ("INVITE", "stranger", False, FULL, "drop"),
        ("OPTIONS", "trunk", False, FULL, "accept"),  # still alive, only busy
    ],
)
def test_the_rule(method: str, source: str, users: bool, load: Load, verdict: str) -> None:
    assert judge(method, source, users_exist=users, load=load) == verdict  # type: ignore[arg-type]


async def test_the_meter_measures_a_late_loop() -> None:
    meter = LagMeter()
    meter.start()
    meter._measure(asyncio.get_running_loop().time() - 10)
    assert meter.lag == pytest.approx(2.0, abs=0.1)
    meter.stop()
