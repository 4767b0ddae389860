"""The process's descriptors: how many it may have, and the three that it was started with.

`resource` is not there on every system: then there is no limit that could be asked or raised.
"""

import importlib
import importlib.util
import os
import sys
from typing import Any

_resource: Any = importlib.import_module("resource") if importlib.util.find_spec("resource") is not None else None
"""None on Windows."""

UNLIMITED = 1024 * 1024
"""Descriptors that a process without a limit is taken to have: what Linux gives at most, unless told otherwise."""

STANDARD = (0, 1, 2)


def limit() -> int:
    """How many descriptors this process may have."""
    if _resource is None:
        return UNLIMITED
    soft, _ = _resource.getrlimit(_resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == _resource.RLIM_INFINITY else soft


def raise_limit() -> tuple[int, int]:
    """Raise the soft limit to the hard one, which this process may do by itself. Returns the limit before and after.

    The usual soft limit of 1,024 is there for programs that use select(2); a server that keeps to it is full with a
    thousand idle clients.
    """
    before = limit()
    if _resource is None:
        return before, before
    _, hard = _resource.getrlimit(_resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == _resource.RLIM_INFINITY else min(hard, UNLIMITED)
    if wanted > before:
        try:
            _resource.setrlimit(_resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # macOS has a lower bound of its own
            return before, before
    return before, limit()


def open_standard() -> None:
    """Open those of the descriptors 0 to 2 that are closed on /dev/null. A socket that got such a number would be
    written to by whatever writes to standard error: a C library, the interpreter's last words."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    for name, mode, number in (("stdin", "r", 0), ("stdout", "w", 1), ("stderr", "w", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115 - it stays open
