"""Where a program stands, in lines for the log."""

from types import FrameType

FRAMES = 12
"""Lines of the stack of a blocked process that are logged: the innermost ones."""


def stack_of(frame: FrameType | None, most: int = FRAMES) -> list[str]:
    """Where `frame` stands, innermost first: `app.py:12 slow`."""
    found: list[str] = []
    while frame is not None and len(found) < most:
        found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return found
