"""Where a program stands: innermost first, and bounded."""

import sys

from clerestory.server.process.stack import FRAMES, stack_of


def deeper(count: int) -> list[str]:
    return deeper(count - 1) if count else stack_of(sys._getframe())


def test_it_is_told_innermost_first_and_bounded() -> None:
    found = deeper(FRAMES * 2)
    assert len(found) == FRAMES
    assert all(line.endswith(" deeper") and "test_stack.py:" in line for line in found)
    assert stack_of(sys._getframe(), 1)[0].endswith("test_it_is_told_innermost_first_and_bounded")
    assert stack_of(None) == []
