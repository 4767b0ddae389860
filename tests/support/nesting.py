"""Watches over DESIGN's law 4 in all tests that run in this process: no walk of an engine runs inside a walk."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clerestory.statemachines.engine import Engine

WALKS = ("walk", "_walk_observed", "_walk_by_library")

_under_way = threading.local()


def is_compiled() -> bool:
    """Whether the engine is compiled: then its methods cannot be replaced, and nothing is watched."""
    return not hasattr(Engine.walk, "__code__")


@contextmanager
def watched(nested: list[str]) -> Iterator[None]:
    """Note in `nested` each walk that begins inside another one, of the same thread."""
    if is_compiled():
        yield
        return
    originals = {name: getattr(Engine, name) for name in WALKS}
    for name, original in originals.items():
        setattr(Engine, name, _noting(original, nested))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Engine, name, original)


def _noting(walk: Callable[..., None], nested: list[str]) -> Callable[..., None]:
    @functools.wraps(walk)
    def noting(engine: Engine, machine: Any, trigger: Any) -> None:
        outer = getattr(_under_way, "machine", None)
        if outer is not None:
            nested.append(f"{machine!r} by {trigger} inside the walk of {outer!r}")
        _under_way.machine = machine
        try:
            walk(engine, machine, trigger)
        finally:
            _under_way.machine = outer

    return noting
