"""The end of a process whose application has left threads behind.

asyncio awaits the threads of its default executor when it ends (`asyncio.to_thread`, `run_in_executor(None, ...)`), and
Python those of anyio (`def` routes): a function that blocks there holds the exit for as long as it likes. They are
waited for as long as a cancelled application is; then the process ends without them, and says where they stand.
"""

import os
import sys
import threading
from types import FrameType

from clerestory.handlers.asgi.stack import is_library, short
from clerestory.server.logging.logs import Logs

LAST_WORDS = 2.0
"""Seconds that the log has to be written."""


def workers() -> list[threading.Thread]:
    """The threads that hold an exit: those of the default executor, and of anyio."""
    return [one for one in threading.enumerate() if one is not threading.main_thread() and _holds(one)]


def _holds(thread: threading.Thread) -> bool:
    return thread.name.startswith("asyncio_") or type(thread).__module__.startswith("anyio.")


def places(threads: list[threading.Thread]) -> list[str]:
    """Where threads stand, by the innermost line of the application: `shop/db.py:41 fetch_order`."""
    frames = sys._current_frames()  # noqa: SLF001 - documented, in spite of its name
    return [_place(frames.get(thread.ident or 0), thread.name) for thread in threads]


def _place(frame: FrameType | None, name: str) -> str:
    innermost = frame
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return name
    return f"{short(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"


class ExitGuard:
    """Ends the process with `status`, `seconds` after it was armed, unless it has been released before."""

    def __init__(self, logs: Logs, seconds: float) -> None:
        self._logs = logs
        self._seconds = seconds
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def arm(self, status: int) -> None:
        """From now on the threads have `seconds` to end."""
        if workers():
            self._thread = threading.Thread(target=self._watch, args=(status,), name="exit guard", daemon=True)
            self._thread.start()

    def release(self) -> None:
        """asyncio has ended. Those of anyio are still waited for, by Python: while the guard is there."""
        if self._thread is not None:
            for one in workers():
                one.join()
            self._released.set()
            self._thread.join()

    def _watch(self, status: int) -> None:
        if self._released.wait(self._seconds):
            return
        held = workers()
        self._logs.event("error", "threads_left", count=len(held), at=places(held), seconds=self._seconds)
        self._logs.close(LAST_WORDS)
        os._exit(status)
