"""The cast, the diaries, and the orders that go to other processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from server.demo import carrier, phones
from server.demo.diary import Diary, read_all
from server.demo.people import PARTS, Act, Person, cast

NUMBERS = [f"+8491200{n:04d}" for n in range(54)]


def test_every_act_comes_up_several_times() -> None:
    acts = Counter(act for person in cast(NUMBERS) for act in person.acts)
    assert set(acts) == set(Act)
    assert min(acts.values()) >= 3


def test_the_same_numbers_play_the_same_parts() -> None:
    assert cast(NUMBERS) == cast(NUMBERS)
    assert [person.acts for person in cast(NUMBERS[: len(PARTS)])] == list(PARTS)


def test_later_calls_meet_later_acts_and_then_the_last() -> None:
    person = Person("+84912000101", (Act.BUSY, Act.PRESSES_1))
    assert [person.act(call) for call in range(3)] == [Act.BUSY, Act.PRESSES_1, Act.PRESSES_1]


def test_who_is_absent_has_no_phone() -> None:
    assert not Person("1", (Act.UNKNOWN,)).has_phone
    assert not Person("1", (Act.SWITCHED_OFF,)).has_phone
    assert Person("1", (Act.BUSY,)).has_phone


def test_orders_survive_the_way_to_another_process() -> None:
    of_phones = phones.Orders("127.0.0.1", 5060, "pw", tuple(cast(NUMBERS)), "d", "s", "h")
    assert phones.Orders.from_json(of_phones.to_json()) == of_phones
    of_carrier = carrier.Orders(tuple(NUMBERS), "pw", "tongdai", "secret", "d", False)
    assert carrier.Orders.from_json(of_carrier.to_json()) == of_carrier


def test_diaries_are_read_together_and_an_unfinished_line_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        diary = Diary(tmp_path / f"{name}.jsonl")
        diary.note("pressed", "+84912000101", f"call-{name}", key="1", how="in-band")
        diary.close()
    with (tmp_path / "b.jsonl").open("a") as file:
        file.write('{"what": "hung')
    entries = read_all(tmp_path)
    assert [entry.call_id for entry in entries] == ["call-a", "call-b"]
    assert entries[0].detail == {"key": "1", "how": "in-band"}
