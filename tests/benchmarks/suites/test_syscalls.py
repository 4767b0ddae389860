"""strace's table is read rightly; the law of the usual path: one wait share, one receive, one send, no epoll_ctl."""

from pathlib import Path

import pytest

from benchmarks.catalogue import BY_NAME
from benchmarks.environment import Peers
from benchmarks.suites import syscalls
from benchmarks.suites.plan import Plan

SUMMARY = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.11    0.010000          15       640           sendto
 38.89    0.000700           1       641         3 recvfrom
  0.00    0.000000           0        10           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.010700           8      1291         3 total
"""


def test_the_summary_is_read() -> None:
    assert syscalls.parse(SUMMARY) == {"sendto": 640, "recvfrom": 641, "epoll_wait": 10}


def test_calls_are_told_the_most_frequent_first() -> None:
    assert syscalls.told({"recvfrom": 1.0, "epoll_wait": 0.016, "futex": 0.001, "write": 2.0}) == (
        "write 2.00, recvfrom 1.00, epoll_wait 0.016"
    )


@pytest.mark.parametrize("name", ["Clerestory, h11", "Clerestory, httptools"])
@pytest.mark.parametrize("connections", syscalls.CONNECTIONS)
def test_a_request_costs_a_wait_share_a_receive_and_a_send(
    name: str, connections: int, data: Path, tmp_path: Path, peers: Peers
) -> None:
    if reason := syscalls.unavailable() or BY_NAME[name].missing(peers):
        pytest.skip(reason)
    with BY_NAME[name].start(data, tmp_path, peers) as server:
        calls = syscalls.count(server, connections, 640, tmp_path / "strace")
    waits = sum(number for call, number in calls.items() if call.startswith("epoll_") and call.endswith("wait"))
    assert calls.get("epoll_ctl", 0) < 0.01
    assert calls["recvfrom"] == pytest.approx(1, abs=0.01)
    assert calls["sendto"] == pytest.approx(1, abs=0.01)
    assert waits <= 1.1  # sweeps of the deadlines wake it a few times a second, too
    assert sum(calls.values()) <= 3.15


def test_without_strace_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(syscalls, "tool", lambda _: None)
    report = syscalls.run(Plan(tmp_path, tmp_path, Peers(tmp_path)))
    assert report.notes == ["Not measured: install strace (Debian: apt-get install strace)."]
    assert report.tables == []
