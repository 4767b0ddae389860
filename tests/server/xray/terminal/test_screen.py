"""The terminal, for real: a pseudo-terminal's two ends."""

import os
import pty
import signal
import struct
import termios
from collections.abc import Iterator
from fcntl import ioctl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.server.xray.terminal.screen import ENTER, LEAVE, Screen, keys_of
from clerestory.server.xray.terminal.waits import Ended, Waits
from tests.support.waiting import eventually


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The end that a person has, and the program's."""
    person, program = pty.openpty()
    ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    yield person, program
    os.close(person)
    os.close(program)


def read_all(person: int) -> bytes:
    """All that was written up to LEAVE; the kernel hands it over in its own time."""
    written = b""
    while not written.endswith(LEAVE):
        written += os.read(person, 65536)
    return written


def cooked(descriptor: int) -> bool:
    return bool(termios.tcgetattr(descriptor)[3] & termios.ICANON)


def wait_for_a_signal(screen: Screen) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    screen.keys()


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"", []),
        (b"qs/", ["q", "s", "/"]),
        (b"\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        (b"\x1b[5~\x1b[6~\x1b[H\x1b[F", ["page up", "page down", "home", "end"]),
        (b"\x1b[1~\x1b[4~\x1bOH\x1bOF", ["home", "end", "home", "end"]),
        (b"\r\x7f\x1b", ["enter", "backspace", "escape"]),
        (b"\x1b[1;5Cx\x1b[Zy", ["x", "y"]),
        (b"\x00\x01\xff", ["\N{REPLACEMENT CHARACTER}"]),
        ("é".encode(), ["é"]),
    ],
)
def test_keys(typed: bytes, keys: list[str]) -> None:
    assert keys_of(typed) == keys


@given(st.binary(max_size=64))
def test_whatever_is_typed_is_keys(typed: bytes) -> None:
    assert all(key.isprintable() for key in keys_of(typed))


def test_it_is_ours_inside_and_as_it_was_outside(ends: tuple[int, int]) -> None:
    person, program = ends
    screen = Screen(program, program)
    before = termios.tcgetattr(program)
    handler = signal.getsignal(signal.SIGTERM)
    with screen.shown(0.1):
        assert not cooked(program)
        screen.draw(["one", "two"])
        assert screen.size() == (40, 10)
    assert termios.tcgetattr(program) == before
    assert signal.getsignal(signal.SIGTERM) == handler
    written = read_all(person)
    assert written.startswith(ENTER)
    assert b"\x1b[H\x1b[Kone\x1b[0m\r\r\n\x1b[Ktwo\x1b[0m\x1b[J" in written
    assert written.endswith(LEAVE)


def test_it_is_put_back_after_an_error_and_after_a_signal(ends: tuple[int, int]) -> None:
    person, program = ends
    with pytest.raises(ZeroDivisionError), Screen(program, program).shown(0.1):
        raise ZeroDivisionError
    assert cooked(program)
    assert read_all(person).endswith(LEAVE)
    waits = Waits()
    screen = Screen(program, program, waits)
    with waits.taken(), pytest.raises(Ended) as raised, screen.shown(60):
        wait_for_a_signal(screen)
    assert raised.value.number == signal.SIGTERM
    assert cooked(program)
    assert read_all(person).endswith(LEAVE)


def test_a_wait_for_a_key_ends_with_the_key_or_with_the_interval(ends: tuple[int, int]) -> None:
    person, program = ends
    screen = Screen(program, program)
    with screen.shown(0.1):
        os.write(person, b"\x1b[Bq")
        assert screen.keys() == ["down", "q"]
        assert screen.keys() == []


def test_a_new_size_is_told_while_it_waits(ends: tuple[int, int]) -> None:
    _, program = ends
    screen = Screen(program, program)
    told: list[tuple[int, int]] = []
    screen.changed = lambda: told.append(screen.size())
    with screen.shown(0.1):
        os.kill(os.getpid(), signal.SIGWINCH)
        assert told == []
        ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        alarm = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGWINCH))
        try:
            eventually(lambda: screen.keys() == [] and told)
        finally:
            signal.signal(signal.SIGALRM, alarm)
    assert told == [(100, 20)]


def test_without_a_terminal_it_has_a_usual_size() -> None:
    reading, writing = os.pipe()
    try:
        assert Screen(reading, writing).size() == (80, 24)
        with pytest.raises(termios.error), Screen(reading, writing).shown(1):
            raise AssertionError
    finally:
        os.close(reading)
        os.close(writing)
