"""The demonstration's processes and its home: nothing left behind, nothing overwritten."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from server.demo import carrier, stage
from server.demo.people import Act, Person
from server.demo.props import Props
from server.demo.stage import DemoFailed, Stage

CARRIER = "server.demo.carrier"


def orders(folder: Path) -> str:
    return carrier.Orders((), "pw", "tongdai", "secret", str(folder / "carrier.jsonl")).to_json()


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def play(folder: Path, ports: list[int], end: Callable[[], None]) -> None:
    """Start two carriers, then let something happen."""
    with Stage(folder) as on:
        ports += [int(on.helper(CARRIER, orders(folder))) for _ in range(2)]
        assert not any(map(is_free, ports))
        end()


@pytest.mark.parametrize("error", [KeyboardInterrupt, DemoFailed, SystemExit])
def test_whatever_happens_every_process_has_ended(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def end() -> None:
        raise error

    ports: list[int] = []
    with pytest.raises(error):
        play(tmp_path, ports, end)
    assert all(map(is_free, ports))


def test_sigterm_ends_them_too(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ports: list[int] = []
    with pytest.raises(SystemExit) as ended:
        play(tmp_path, ports, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert ended.value.code == 128 + signal.SIGTERM
    assert all(map(is_free, ports))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_that_ends_at_once_is_named_with_its_log(tmp_path: Path) -> None:
    with Stage(tmp_path) as on, pytest.raises(DemoFailed, match=r"carrier ended at once") as failed:
        on.helper(CARRIER, "{}")
    log = tmp_path / "demo" / "carrier.log"
    assert str(log) in str(failed.value)
    assert "Traceback" in log.read_text()


def test_a_process_that_never_gets_ready_is_named_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "READY_WITHIN", 0.0)
    with Stage(tmp_path) as on, pytest.raises(DemoFailed, match="is not ready"):
        on.helper(CARRIER, orders(tmp_path))


def test_a_server_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    with Stage(tmp_path) as on, pytest.raises(DemoFailed, match="serve ended at once"):
        on.serve()
    assert "tongdai init" in (tmp_path / "demo" / "serve.log").read_text()


def test_a_command_that_fails_ends_the_show(tmp_path: Path) -> None:
    with Stage(tmp_path) as on, pytest.raises(DemoFailed, match=r"`tongdai campaign start …`"):
        on.tongdai("campaign", "start", "nothing")


class TestHome:
    def test_a_new_one_is_made(self, tmp_path: Path) -> None:
        Props(tmp_path / "new").lay_out()
        assert (tmp_path / "new" / "contacts-vn.csv").is_file()

    def test_an_empty_one_is_used(self, tmp_path: Path) -> None:
        Props(tmp_path).lay_out()
        assert (tmp_path / "tongdai.toml").is_file()

    def test_that_of_an_earlier_demonstration_is_replaced(self, tmp_path: Path) -> None:
        Props(tmp_path).lay_out()
        (tmp_path / "calls.csv").touch()
        Props(tmp_path).lay_out()
        assert not (tmp_path / "calls.csv").exists()

    def test_any_other_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "tongdai.db").touch()
        with pytest.raises(DemoFailed, match="is not empty"):
            Props(tmp_path).lay_out()
        assert [path.name for path in tmp_path.iterdir()] == ["tongdai.db"]


def test_everyone_with_a_phone_is_told_once_and_given_up_numbers_are_nobodys(
    tmp_path: Path,
) -> None:
    people = [Person(f"+8491200010{n}", (act,)) for n, act in enumerate(Act)]
    props = Props(tmp_path)
    told = [person for orders in props.phone_orders(people, 5060) for person in orders.people]
    assert sorted(told, key=lambda person: person.number) == [p for p in people if p.has_phone]
    subscribers = props.carrier_orders(people).numbers
    absent = {p.number for p in people if p.number not in subscribers}
    assert absent == {p.number for p in people if Act.UNKNOWN in p.acts}
    assert "password" not in repr(props)
