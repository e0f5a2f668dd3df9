"""Type-ahead."""

import asyncio

from ivr.typed import Typed


async def test_keys_are_kept_until_they_are_read() -> None:
    typed = Typed()
    typed.press("1")
    typed.press("2")
    assert typed.peek() == "1"
    assert await typed.next(1) == "1"
    assert await typed.next(1) == "2"
    assert typed.peek() == ""


async def test_no_key_in_time_is_an_empty_string() -> None:
    assert await Typed().next(0.001) == ""


async def test_a_key_that_comes_while_waiting_is_read() -> None:
    typed = Typed()
    reading = asyncio.create_task(typed.next(5))
    await asyncio.sleep(0)
    typed.press("*")
    assert await reading == "*"


async def test_what_nobody_reads_is_bounded_and_can_be_forgotten() -> None:
    typed = Typed(most=3)
    for key in "12345":
        typed.press(key)
    assert typed.peek() == "3"
    typed.clear()
    assert await typed.next(0.001) == ""
