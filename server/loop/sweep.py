"""The sweep: which deadlines have passed, and which calls are due. A few times a second, over all machines of a loop.

Its law: nobody is late who has not been looked at. Between a deadline and the moment at which we see that it has
passed, the process may have been stopped, a handler may have blocked it, or more descriptors may have been ready than
one wait reports; what we wait for may have come long ago and lie in the kernel. So once something is late, the loop
turns without waiting until all that is ready has been looked at, and only then deadlines fire.
"""

import heapq
from collections.abc import Callable

from clerestory.server.loop.base import BaseLoop
from clerestory.statemachines.engine import Machine

SWEEP_INTERVAL = 0.25
"""Seconds between two looks at the deadlines: how late one may fire. A sweep of 20,000 machines takes about 2 ms."""

LOOKS = 16
"""How often a machine that is late, and has something to look at each time, is looked at before its deadline fires: a
mebibyte, at 64 KiB a look."""

NEVER = float("inf")


class Sweeper:
    """Fires the deadlines of `loop`'s machines, and makes the calls that were asked for."""

    __slots__ = ("_calls", "_calls_made", "_loop", "due")

    def __init__(self, loop: BaseLoop) -> None:
        self._loop = loop
        self.due = loop.now
        """When the next sweep is due; NEVER within one."""
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._calls_made = 0

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """As Loop.call_at."""
        self._calls_made += 1
        heapq.heappush(self._calls, (when, self._calls_made, callback))
        if self.due != NEVER:
            self.due = min(self.due, when)

    def sweep(self) -> None:
        """Fire DEADLINE_PASSED at every machine whose state has lasted too long, and make the calls that are due."""
        loop = self._loop
        now = loop.now
        self.due = NEVER
        try:
            overdue = self._overdue(now)
            if overdue or (self._calls and self._calls[0][0] <= now):
                self._look(overdue, now)
            for machine in overdue:
                # It may have moved since: it was looked at, or an earlier deadline has ended it, as a drain's does.
                if self._is_late(machine, now):
                    loop.tell(machine, machine.engine.table.triggers["DEADLINE_PASSED"])
            if self._calls:
                self._run_calls(now)
        finally:
            self.due = loop.now + SWEEP_INTERVAL
            if self._calls:
                self.due = min(self.due, self._calls[0][0])
                loop.has_deadlines = True

    def _overdue(self, now: float) -> list[Machine]:
        overdue: list[Machine] = []
        has_deadlines = False
        for machine in self._loop.machines.values():
            node = machine.node
            if node.deadline is None:
                continue
            has_deadlines = True
            if now - machine.since >= node.least and machine.is_overdue(now):
                overdue.append(machine)
        self._loop.has_deadlines = has_deadlines
        return overdue

    def _is_late(self, machine: Machine, now: float) -> bool:
        return self._loop.machines.get(machine.descriptor) is machine and machine.is_overdue(now)

    def _look(self, overdue: list[Machine], now: float) -> None:
        """Let all that is ready be looked at, the machines that are late and those that they wait for. The kernel
        reports those first that have waited longest, so a report that is not full has the last of them; a machine that
        is still late then is looked at again while more has come for it."""
        loop = self._loop
        most = loop.poller.most
        for _ in range(LOOKS + len(loop.machines) // most):
            loop.turn(0)
            if len(loop.reported) < most:
                late = {machine.descriptor for machine in overdue if self._is_late(machine, now)}
                if not any(descriptor in late for descriptor, _ in loop.reported):
                    return

    def _run_calls(self, now: float) -> None:
        """Make the calls that are due and were there before; one that calls again waits for the next sweep."""
        made = self._calls_made
        while self._calls and self._calls[0][0] <= now and self._calls[0][1] <= made:
            _, _, callback = heapq.heappop(self._calls)
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - one call's fault must not end the others
                self._loop.callback_failed(error)
