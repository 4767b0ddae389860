"""What a service manager is told, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerestory.server.process.notify import Notifier, take_notifier
from tests.server.support import bench_of, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(os.path.relpath(tmp_path / "notify"))
        made.settimeout(5)
        yield made


def notifier(manager: socket.socket, **more: str) -> tuple[Notifier, dict[str, str]]:
    environment = {"NOTIFY_SOCKET": os.path.abspath(manager.getsockname()), "OTHER": "stays"} | more
    return take_notifier(environment), environment


def test_a_start_a_reload_and_an_end_are_told(manager: socket.socket) -> None:
    found, environment = notifier(manager)
    assert environment == {"OTHER": "stays"}
    found.ready("2 workers")
    assert manager.recv(1000).decode().split("\n") == ["READY=1", "STATUS=2 workers", f"MAINPID={os.getpid()}"]
    found.reloading(12.5)
    assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=12500000\n")
    found.stopping()
    assert manager.recv(1000).startswith(b"STOPPING=1")
    found.status("what it does")
    assert manager.recv(1000) == b"STATUS=what it does"
    found.close()


def test_an_abstract_socket_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0clerestory-test-{os.getpid()}")
        found = take_notifier({"NOTIFY_SOCKET": f"@clerestory-test-{os.getpid()}"})
        assert found.tell("READY=1")
        assert manager.recv(100) == b"READY=1"
        found.close()


def test_signs_of_life_come_twice_as_often_as_they_are_asked_for_and_from_the_loop(manager: socket.socket) -> None:
    found, environment = notifier(manager, WATCHDOG_USEC="8000000", WATCHDOG_PID=str(os.getpid()))
    assert environment == {"OTHER": "stays"}
    manager.setblocking(False)
    with bench_of(hello) as bench:
        found.watch(bench.loop)
        for _ in range(3):
            assert manager.recv(100) == b"WATCHDOG=1"
            bench.after(3.5)
            with pytest.raises(BlockingIOError):
                manager.recv(100)
            bench.after(1.0)
    found.close()


def test_the_watchdog_of_another_process_is_not_ours(manager: socket.socket) -> None:
    found, _ = notifier(manager, WATCHDOG_USEC="8000000", WATCHDOG_PID="1")
    manager.setblocking(False)
    with bench_of(hello) as bench:
        found.watch(bench.loop)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
    found.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_a_manager_nothing_is_told(environment: dict[str, str]) -> None:
    found = take_notifier(environment)
    assert not found.tell("READY=1")
    found.close()


def test_a_manager_that_has_gone_is_no_error(manager: socket.socket) -> None:
    found, _ = notifier(manager)
    manager.close()
    assert not found.tell("READY=1")
    found.close()
