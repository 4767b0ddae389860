"""The process's descriptors: the limit is raised, and the three that it is started with are there."""

import subprocess
import sys
from typing import Any

import pytest

from clerestory.server.process import descriptors
from clerestory.server.process.descriptors import UNLIMITED, limit, raise_limit


class Resource:
    """The module `resource` of a system with these limits."""

    RLIMIT_NOFILE, RLIM_INFINITY = 7, -1

    def __init__(self, soft: int, hard: int, *, most: int = 1 << 40) -> None:
        self.limits = (soft, hard)
        self.most = most

    def getrlimit(self, what: int) -> tuple[int, int]:
        assert what == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, what: int, limits: tuple[int, int]) -> None:
        assert what == self.RLIMIT_NOFILE
        if limits[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [(1024, 4096, 4096), (4096, 4096, 4096), (1024, -1, UNLIMITED), (1024, 1 << 30, UNLIMITED), (-1, -1, UNLIMITED)],
)
def test_the_soft_limit_is_raised_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int
) -> None:
    """A limit of 1,024 makes a server full with a thousand idle clients."""
    system = Resource(soft, hard)
    monkeypatch.setattr(descriptors, "_resource", system)
    assert raise_limit() == (UNLIMITED if soft == -1 else soft, after)
    assert system.limits[1] == hard
    assert limit() == after


def test_a_limit_that_cannot_be_raised_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_resource", Resource(256, -1, most=10240))
    assert raise_limit() == (256, 256)


def test_a_system_without_limits_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_resource", None)
    assert raise_limit() == (UNLIMITED, UNLIMITED)


CLOSED = """
import os, sys
os.closerange(0, 3)
sys.stdin = sys.stdout = sys.stderr = None
from clerestory.server.process.descriptors import open_standard
open_standard()
null = os.stat(os.devnull)
same = all(os.path.samestat(os.fstat(number), null) for number in (0, 1, 2))
print("nobody reads this")
sys.exit(0 if same and sys.stderr is not None and os.open(os.devnull, os.O_RDONLY) > 2 else 1)
"""


def test_standard_descriptors_that_are_closed_are_opened_so_that_no_socket_gets_their_numbers() -> None:
    assert subprocess.run([sys.executable, "-c", CLOSED], check=False).returncode == 0


def test_standard_descriptors_that_are_open_are_left(capfd: Any) -> None:
    descriptors.open_standard()
    print("still here")
    assert capfd.readouterr().out == "still here\n"


WITHOUT = """
import sys
sys.modules["resource"] = None
from clerestory.server.cli.main import main
sys.exit(main(["--help"]))
"""


def test_the_command_line_is_there_on_a_system_without_limits_to_ask() -> None:
    """Windows has no module `resource`."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--port" in done.stdout
