"""Time that grows with size: in proportion, or faster. Asserted so that neither a busy machine nor a slow one decides.

Noise only ever adds to a measurement, and to the small one as to the large one. So the best of each counts, and they
are taken by turns until the rule holds. What is quadratic takes at 16 times the size 256 times as long, in every round.
"""

import gc
import time
from collections.abc import Callable

ROUNDS = 40
TIMES = 16
"""How much larger the large size is."""

TICK = 20e-6
"""Seconds that a measurement has at least: below it, it is the clock that is measured."""


def grows_in_proportion(work: Callable[[int], object], small: int) -> bool:
    """Whether `work`, given 16 times `small`, takes less than 64 times as long: halfway, in powers, to quadratic."""
    short = long = float("inf")
    for _ in range(ROUNDS):
        short = min(short, _lasts(work, small))
        long = min(long, _lasts(work, small * TIMES))
        if long < 64 * max(short, TICK):
            return True
    return False


def _lasts(work: Callable[[int], object], size: int) -> float:
    """Seconds of this thread's own time, without the collector of cycles: what that takes depends on all that there is
    in the process, and it comes once in so many objects."""
    gc.disable()
    try:
        before = time.thread_time()
        work(size)
        return time.thread_time() - before
    finally:
        gc.enable()
