"""The signals: each is noted, and makes a descriptor readable by which the loop takes it like anything else.

Python's own way with signals is to run a handler between two bytecodes, wherever the program is. Ours notes the number
and returns; the C-level handler has written a byte to a socket (signal.set_wakeup_fd) that wakes the loop. The numbers
are not read from that socket: a flood of one signal fills it, and the bytes of others are dropped then.

A loop that does not come round takes nothing. So the handler itself ends a process in which a second SIGINT or SIGTERM
comes while the first has not been taken for a while, and one that is sent SIGQUIT. Where even Python does not come
round (C code that neither returns nor looks at signals), only SIGKILL is left.
"""

import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
DUMPING = getattr(signal, "SIGUSR1", None)
"""Tells the log what every connection waits for."""

RELOADING = getattr(signal, "SIGHUP", None)
"""Starts a new generation of workers, where there is a supervisor."""

QUITTING = getattr(signal, "SIGQUIT", None)
"""Ends the process at once."""

OTHERS = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT", "SIGUSR2", "SIGALRM") if hasattr(signal, name))
"""What would end the process without a word. We take those that nobody else has taken: an application may use
SIGALRM, and `nohup` ignores SIGHUP."""

UNTAKEN = 0.25
"""Seconds for which a signal has not been taken, from which on a second one ends the process: a loop comes round much
sooner, and two signals that come together still end it in order."""

Blocked = Callable[[int, FrameType | None, float], None]
"""Told of a signal that is not to wait for the loop, where the program stands, and for how long it has not taken
signals."""


class Signals:
    """The signals that have come and have not been taken."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._come: deque[int] = deque()
        self._untaken_since: float | None = None
        self.numbers: tuple[int, ...] = ()
        """Those that are noted."""
        self.hangs_up = True
        """Whether SIGHUP was not ignored when the process began, as it is under nohup(1)."""
        self._clock: Callable[[], float] | None = None
        self._blocked: Blocked | None = None

    def watch(self, clock: Callable[[], float], blocked: Blocked) -> None:
        """From now on call `blocked` for a signal that does not wait: from within the handler of the signal."""
        self._clock, self._blocked = clock, blocked

    def unwatch(self) -> None:
        """From now on only note them."""
        self._clock = self._blocked = None

    def fileno(self) -> int:
        """What is readable when a signal has come."""
        return self._reading.fileno()

    def wakes(self) -> int:
        """What signal.set_wakeup_fd is given."""
        return self._writing.fileno()

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of each signal."""
        if self._blocked is not None and self._clock is not None:
            now = self._clock()
            since = self._untaken_since
            if number == QUITTING:
                self._blocked(number, frame, 0.0 if since is None else now - since)
            elif number in ENDING:
                if since is None:
                    self._untaken_since = now
                elif now - since >= UNTAKEN:
                    self._blocked(number, frame, now - since)
        if self._come.count(number) < (2 if number in ENDING else 1):
            self._come.append(number)

    def take(self) -> list[int]:
        """The signals that have come since the last call, in their order: of those that end us two of a kind, of others
        one."""
        with suppress(BlockingIOError):
            while len(self._reading.recv(4096)) == 4096:
                pass
        taken: list[int] = []
        while self._come:  # one may be noted between any two lines here
            taken.append(self._come.popleft())
        self._untaken_since = None
        return taken

    def close(self) -> None:
        """Give the socket pair back."""
        self._reading.close()
        self._writing.close()


@contextmanager
def signals_by_socket(*, parting: bool = False, also: Iterable[int] = ()) -> Iterator[Signals]:
    """Signals are noted while the block runs, and do nothing by themselves.

    Those of `also` are taken as well. After it the handlers are as before; with `parting`, where the
    process ends with the block, signals are ignored: the interpreter takes a moment to end, and what comes meanwhile
    must not change the exit status.
    """
    signals = Signals()
    try:
        ours = [*ENDING, *([DUMPING] if DUMPING is not None else [])]
        ours += [number for number in OTHERS if signal.getsignal(number) is signal.SIG_DFL]
        signals.hangs_up = RELOADING in ours
        ours += [number for number in also if number not in ours]
        signals.numbers = tuple(ours)
        before = {number: signal.signal(number, signals.note) for number in ours}
        wakes_before = signal.set_wakeup_fd(signals.wakes(), warn_on_full_buffer=False)
        try:
            yield signals
        finally:
            signal.set_wakeup_fd(wakes_before)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if parting else handler)
    finally:
        signals.close()
