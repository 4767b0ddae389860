"""The terminal as `top` uses it: the alternate screen, keys without Return, and everything put back at the end.

Put back means: after `q`, after an error, after Ctrl-C, SIGTERM or a hang-up, and while it is stopped by Ctrl-Z.
A wait for a key is one of server.xray.terminal.waits, which ends with a signal, too.
"""

import os
import signal
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from clerestory.server.loop.poller import READABLE
from clerestory.server.xray.terminal.waits import Waits

ENTER = b"\x1b[?1049h\x1b[?25l\x1b[2J"
LEAVE = b"\x1b[?25h\x1b[?1049l"

_SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1bOH": "home",
    "\x1bOF": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
}


def keys_of(data: bytes) -> list[str]:
    """What was typed: characters, and names such as `up`, `enter` or `escape`. Unknown sequences are nothing."""
    text, found = data.decode("utf-8", "replace"), []
    while text:
        name = next((sequence for sequence in _SEQUENCES if text.startswith(sequence)), "")
        if name:
            found.append(_SEQUENCES[name])
            text = text[len(name) :]
        elif text[0] == "\x1b":
            length = _foreign(text)
            found += ["escape"] if length == 1 else []
            text = text[length:]
        else:
            found += [text[0]] if text[0].isprintable() else []
            text = text[1:]
    return found


def _foreign(text: str) -> int:
    """The length of an escape sequence that we do not know; 1 for the key itself."""
    if text[1:2] not in ("[", "O"):
        return 1
    return next((place + 1 for place, c in enumerate(text) if place > 1 and "@" <= c <= "~"), len(text))


class Screen:
    """A terminal to read from and one to write to. `changed` is called when its size has, while we wait for a key."""

    def __init__(self, reading: int, writing: int, waits: Waits | None = None) -> None:
        self._waits = waits or Waits()
        self._reading = reading
        self._writing = writing
        self._before: list[Any] = []
        self._waiting = False
        self._seconds = 1.0
        self.changed: Callable[[], None] = lambda: None

    @contextmanager
    def shown(self, interval: float) -> Iterator[None]:
        """Ours while the block runs; `key` waits for `interval` seconds. Raises termios.error where it is none."""
        self._seconds = interval
        handlers = {signal.SIGWINCH: self._resized, signal.SIGTSTP: self._stopped}
        self._before = termios.tcgetattr(self._reading)
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._waits.last_words = self._give_back
        try:
            self._take()
            yield
        finally:
            self._waits.last_words = lambda: None
            try:
                self._give_back()
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            columns, lines = os.get_terminal_size(self._writing)
        except OSError:
            return 80, 24
        return columns or 80, lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, in one write, so that nothing flickers."""
        # Each line is erased before it is written: afterwards a full one would lose its last column.
        body = "\r\n".join(f"\x1b[K{line}\x1b[0m" for line in lines)
        self._write(f"\x1b[H{body}\x1b[J".encode("utf-8", "replace"))

    def keys(self) -> list[str]:
        """What was typed, as soon as something is; nothing after the interval."""
        self._waiting = True
        try:
            return keys_of(os.read(self._reading, 256)) if self._is_ready() else []
        finally:
            self._waiting = False

    def _is_ready(self) -> bool:
        return self._waits.wait(self._reading, READABLE, self._seconds)

    def _take(self) -> None:
        mode = termios.tcgetattr(self._reading)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 0, 0
        termios.tcsetattr(self._reading, termios.TCSADRAIN, mode)
        self._write(ENTER)

    def _give_back(self) -> None:
        try:
            self._write(LEAVE)
        finally:
            termios.tcsetattr(self._reading, termios.TCSADRAIN, self._before)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._writing, data) :]

    # --- signals: Python runs these between two steps, and reads again afterwards (PEP 475)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        if self._waiting:
            self.changed()

    def _stopped(self, number: int, _frame: FrameType | None) -> None:
        self._give_back()
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, ours)  # and here somebody has said `fg`
        self._take()
        if self._waiting:
            self.changed()
