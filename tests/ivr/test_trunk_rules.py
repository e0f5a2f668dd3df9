"""Numbers as carriers want them, caller IDs that stay, and the rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.registration import back_off
from ivr.trunk import TokenBucket, TrunkConfig, from_carrier, pick_caller_id, to_carrier


def trunk(number_format: str = "plus", prefix: str = "") -> TrunkConfig:
    return TrunkConfig(
        name="carrier",
        host="127.0.0.1",
        number_format=number_format,  # type: ignore[arg-type]
        prefix=prefix,
    )


@pytest.mark.parametrize(
    ("number", "number_format", "prefix", "dialled"),
    [
        ("+84912345678", "plus", "", "+84912345678"),
        ("+84912345678", "e164", "", "84912345678"),
        ("+84912345678", "national", "", "0912345678"),
        ("+842838221234", "national", "", "02838221234"),
        ("+6591234567", "national", "", "006591234567"),
        ("+84912345678", "national", "99#", "99#0912345678"),
        ("+84912345678", "e164", "7", "784912345678"),
        ("1001", "national", "", "1001"),
    ],
)
def test_to_carrier(number: str, number_format: str, prefix: str, dialled: str) -> None:
    assert to_carrier(number, trunk(number_format, prefix)) == dialled


@pytest.mark.parametrize(
    ("user", "number_format", "number"),
    [
        ("+84912345678", "plus", "+84912345678"),
        ("84912345678", "e164", "+84912345678"),
        ("0912345678", "national", "+84912345678"),
        ("0912345678", "e164", "+84912345678"),  # carriers are not always consistent
        ("anonymous", "plus", "anonymous"),
        ("1001", "national", "1001"),
        ("", "national", ""),
    ],
)
def test_from_carrier(user: str, number_format: str, number: str) -> None:
    assert from_carrier(user, trunk(number_format)) == number


@given(st.sampled_from(["plus", "e164", "national"]), st.integers(0, 9_999_999))
def test_a_number_survives_the_way_out_and_back(number_format: str, tail: int) -> None:
    number = f"+8491{tail:07d}"
    config = trunk(number_format)
    assert from_carrier(to_carrier(number, config), config) == number


POOL = [f"+84287300000{digit}" for digit in range(5)]


@given(st.text(min_size=1), st.permutations(POOL))
def test_a_lead_always_sees_the_same_caller_id(lead: str, pool: list[str]) -> None:
    assert pick_caller_id(pool, lead) == pick_caller_id(POOL, lead)


@given(st.text(min_size=1), st.sampled_from(POOL))
def test_only_the_leads_of_a_number_that_leaves_see_another(lead: str, gone: str) -> None:
    before = pick_caller_id(POOL, lead)
    after = pick_caller_id([number for number in POOL if number != gone], lead)
    assert after == before or before == gone


def test_a_pool_is_used_evenly_and_an_empty_one_gives_nothing() -> None:
    shown = [pick_caller_id(POOL, str(lead)) for lead in range(2000)]
    assert min(map(shown.count, POOL)) > 300
    assert pick_caller_id([], "lead") == ""


@given(
    st.floats(0.5, 200),
    st.lists(st.floats(-1, 3), min_size=1, max_size=200),
)
def test_the_bucket_never_gives_more_than_its_rate_and_burst(
    rate: float, steps: list[float]
) -> None:
    bucket = TokenBucket(rate=rate, burst=max(1.0, rate / 10))
    now, forward, taken = 100.0, 0.0, 0
    for step in steps:
        now += step
        forward += max(0.0, step)
        while not bucket.take(now):
            taken += 1
    assert taken <= bucket.burst + forward * rate + 1e-6


def test_the_bucket_says_how_long_to_wait() -> None:
    bucket = TokenBucket(rate=10, burst=1)
    assert bucket.take(0.0) == 0.0
    wait = bucket.take(0.0)
    assert wait == pytest.approx(0.1)
    assert bucket.take(wait) == 0.0


def test_failed_registrations_are_tried_ever_more_slowly() -> None:
    waits = [back_off(failures, 1.0) for failures in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[0] == 5.0
    assert waits[-1] == 600.0
    assert back_off(3, 0.0) == 10.0  # half of 20 s: spread, never at once
    assert back_off(10_000, 0.5) == 450.0
