"""What a service manager is told: sd_notify(3), for a unit of Type=notify-reload (or notify).

A datagram to the socket that $NOTIFY_SOCKET names. The variable is taken out: a process that is started from here does
not speak for the service. With WatchdogSec= a sign of life is sent twice as often as it is asked for, by the loop
itself: one that stands still sends none.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

from clerestory.server.loop.loop import Loop


class Notifier:
    """The service manager's socket; without one, everything here does nothing."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._socket: socket.socket | None = None
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog
        """Seconds within which a sign of life is expected; 0 for never."""
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def tell(self, *lines: str) -> bool:
        """Send `lines`; whether they were sent. A manager that does not read is not waited for."""
        if self._socket is None:
            return False
        with suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), self._address)
            return True
        return False

    def ready(self, status: str) -> None:
        """It serves: after the start, and after a reload."""
        self.tell("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self, now: float) -> None:
        """A reload has begun. `now` is CLOCK_MONOTONIC, by which the manager tells this from an earlier one."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(now * 1e6)}", "STATUS=reloading")

    def stopping(self) -> None:
        """The end has begun."""
        self.tell("STOPPING=1", "STATUS=draining")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self.tell(f"STATUS={text}")

    def watch(self, loop: Loop) -> None:
        """Send signs of life from now on, while `loop` turns."""
        if self._socket is None or not self._watchdog:
            return

        def again() -> None:
            if self.tell("WATCHDOG=1") or self._socket is not None:
                loop.call_at(loop.clock() + self._watchdog / 2, again)

        again()

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def take_notifier(environment: MutableMapping[str, str] = os.environ) -> Notifier:
    """The notifier that the variables of `environment` name; they are taken out."""
    address = environment.pop("NOTIFY_SOCKET", "")
    microseconds = environment.pop("WATCHDOG_USEC", "")
    pid = environment.pop("WATCHDOG_PID", "")
    mine = not pid or pid == str(os.getpid())
    if not address.startswith(("/", "@")):
        return Notifier()
    return Notifier(address, int(microseconds) / 1e6 if mine and microseconds.isdecimal() else 0.0)
