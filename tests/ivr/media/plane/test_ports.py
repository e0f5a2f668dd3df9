"""The pool of RTP ports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.media.errors import PortsExhausted
from ivr.media.ports import ANY_PORT, PortPool


def test_only_even_ports_each_once() -> None:
    pool = PortPool(range(20001, 20010), quarantine=10)
    assert sorted(pool.take(0) for _ in range(4)) == [20002, 20004, 20006, 20008]
    assert pool.in_use == 4


def test_exhausted_says_what_to_do() -> None:
    pool = PortPool(range(20000, 20004), quarantine=10)
    pool.give_back(pool.take(0), now=0)
    pool.take(0)
    with pytest.raises(PortsExhausted) as caught:
        pool.take(0)
    assert str(caught.value) == (
        "No RTP port is free in 20000-20003: 1 of its 2 even ports are in use and 1 are resting "
        "for 10 s after a call or held by other programs; widen the range or allow fewer calls "
        "at once."
    )


def test_a_port_rests_for_the_quarantine_and_not_longer() -> None:
    pool = PortPool(range(20000, 20002), quarantine=10)
    pool.give_back(pool.take(0), now=5)
    with pytest.raises(PortsExhausted):
        pool.take(14.9)
    assert pool.take(15.0) == 20000


def test_an_empty_range_leaves_it_to_the_system() -> None:
    pool = PortPool(range(0), quarantine=10)
    assert [pool.take(0), pool.take(0)] == [ANY_PORT, ANY_PORT]
    pool.give_back(40000, now=0)
    assert pool.take(100) == ANY_PORT


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 4)), max_size=200))
def test_no_port_is_held_twice_or_too_early(steps: list[tuple[bool, float]]) -> None:
    pool, now = PortPool(range(20000, 20012), quarantine=10), 0.0
    held: list[int] = []
    freed: dict[int, float] = {}
    for take, passed in steps:
        now += passed
        if take:
            try:
                port = pool.take(now)
            except PortsExhausted:
                resting = [port for port, at in freed.items() if at + 10 > now and port not in held]
                assert len(held) + len(resting) == 6
                continue
            assert port not in held
            assert freed.get(port, float("-inf")) + 10 <= now
            held.append(port)
        elif held:
            port = held.pop(0)
            pool.give_back(port, now)
            freed[port] = now
        assert pool.in_use == len(held)
