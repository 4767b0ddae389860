"""Where a thread stands in the application: its innermost frame outside of the libraries, and of ours."""

import sys
from types import FrameType

from clerestory.handlers.asgi.stack import DEEPEST, is_library, short


def is_ours(frame: FrameType) -> bool:
    """Whether it is code of this server, wherever that is installed."""
    return str(frame.f_globals.get("__name__", "")).startswith("clerestory.")


def place_of(thread: int) -> str:
    """`shop/db.py:41 fetch_order`, for the thread of that identity; empty where it is in no application. It goes on
    while it is read."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, in spite of its name
    for _ in range(DEEPEST):
        if frame is None:
            break
        code = frame.f_code
        if not is_library(code.co_filename) and not is_ours(frame):
            return f"{short(code.co_filename)}:{frame.f_lineno} {code.co_name}"
        frame = frame.f_back
    return ""


def with_place(text: str, thread: int) -> str:
    """`text`, and behind it where the thread of that identity is in the application, if it is in one."""
    place = place_of(thread) if thread else ""
    return f"{text} at {place}" if place else text
