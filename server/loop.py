"""The loop: wait -> dispatch -> settle interest -> reap -> sweep deadlines; and the descriptor -> machine map.

Whatever has a descriptor is a machine, and the loop knows no kinds. One without a descriptor of its own, such as work
in a thread, is in the map under a negative number: there is nothing to register, all else is the same. Its laws:

- Readiness fires triggers: the state's `when_ready` looks once, at a bounded amount, and names the fact.
- Interest and deadline are read from the state; nobody arms them by hand.
- Interest is lazy: it is widened at a turn's end, where a state then wants more than is registered, and narrowed only
  when a report comes that the state does not want. A request in one segment, answered in one, costs no `epoll_ctl`.
- What the machines of one turn send leaves together, at its end (`presume_writable`): the first send wakes whoever is
  to read it, the others find it awake, and a system call spoils fewer caches when the next one is of the same kind.
- Deadlines are swept a few times a second: entering a state arms nothing, since the engine notes the time anyway.
- Only the loop closes descriptors, and only between two batches, so that a number is never reused within one.
- An exception of one machine ends that machine, never the loop.

The only module that reads the clock.
"""

import heapq
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import get_ident
from typing import Any

from server.poller import READABLE, WRITABLE, Poller
from statemachines import wakeup
from statemachines.contract import Name
from statemachines.engine import BUCKETS, Dispatch, Engine, Machine

TOGETHER = 0.001
"""Seconds that an answer, or a request to an upstream, waits for others of its turn, to leave with them: for a hundred
of them, or one slow handler."""

SWEEP_INTERVAL = 0.25
"""Seconds between two looks at the deadlines: how late one may fire. A sweep of 20,000 machines takes about 2 ms."""

Crashed = Callable[[Machine, BaseException], None]


class Loop:
    """One thread's machines, and what they wait for.

    `crashed` is told of a machine whose shell raised; the machine is closed after it.
    """

    def __init__(
        self,
        poller: Poller,
        crashed: Crashed,
        *,
        clock: Callable[[], float] = time.monotonic,
        limits: Mapping[str, float] | None = None,
        dispatch: Dispatch = Dispatch.COMPILED,
    ) -> None:
        self.poller = poller
        self.clock = clock
        self.limits = limits or {}
        self.dispatch = dispatch
        self.machines: dict[int, Machine] = {}
        self.kept: dict[object, Any] = {}
        """As Loop.kept of the contract."""
        self.engines: set[Engine] = set()
        """Those of all machines that there have been: what these have counted."""
        self.now = clock()
        """The time at the last wake-up."""
        self.turns = 0
        self.thread = 0
        """The identity of the thread that runs it, once it does."""
        self.waiting = False
        """Whether it waits for readiness now."""
        self.stepping: Machine | None = None
        """The machine whose step it is in, the innermost where one has fired another; None between two batches."""
        self.lags = [0] * BUCKETS
        """How late the sweeps were, as in a node's dwell: a loop that is busy, or stood in a handler, comes late."""
        self.crashed = crashed
        self._running = False
        self._revisits: list[Machine] = []
        self._presumed: list[Machine] = []
        self._unsettled: list[Machine] = []
        self._closing: list[Machine] = []
        self._next_sweep = self.now
        self._has_deadlines = True
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._calls_made = 0
        self.wake_up = WakeUp(self)
        self.add(self.wake_up)

    # --- what a loop offers (statemachines.contract.Loop)

    def add(self, machine: Machine) -> None:
        """Put `machine` into the map and wait for what its state waits for."""
        if machine.descriptor >= 0:
            machine.registered = machine.node.mask
            self.poller.register(machine.descriptor, machine.registered)
        self.engines.add(machine.engine)
        self.machines[machine.descriptor] = machine
        self._has_deadlines = True

    def fire(self, machine: Machine, trigger: Name) -> None:
        """Run `machine` from `trigger`, for a reason outside its own readiness."""
        self._has_deadlines = True
        outer, self.stepping = self.stepping, machine
        try:
            machine.engine.fire(machine, trigger)
        except Exception as error:  # noqa: BLE001 - one machine's fault must not end the others
            self._close_crashed(machine, error)
        self.stepping = outer
        self._look_after(machine)

    def revisit(self, machine: Machine) -> None:
        """In the next turn look at `machine` as if it were readable: its bytes lie in its own buffer."""
        self._revisits.append(machine)

    def presume_writable(self, machine: Machine) -> None:
        """At the end of the turn look at `machine` as if it were writable, which a socket usually is."""
        self._presumed.append(machine)

    def hasten(self, since: float) -> float:
        """Between two of a step's many parts: what is presumed writable since `since` does not wait for all of them.
        Hands back since when the others wait."""
        if not self._presumed or self.clock() - since <= TOGETHER:
            return since
        stepping = self.stepping
        self._flush()
        self.stepping = stepping
        return self.clock()

    def attend(self, machine: Machine, interest: int | None) -> None:
        """Of what `machine`'s state waits for, wait for so much; None: not even for a hang-up."""
        machine.registered = machine.node.mask  # as far as it is widened: by whoever calls this
        if interest is None:
            self.poller.unregister(machine.descriptor)
            return
        try:
            self.poller.modify(machine.descriptor, interest)
        except OSError:  # it had been None
            self.poller.register(machine.descriptor, interest)

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread, soon. The only method that another thread may call."""
        self.wake_up.call(callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Run `callback` in the first sweep from `when` on, which is brought forward for it. A call is not taken back:
        one that is no longer wanted sees that for itself."""
        self._calls_made += 1
        heapq.heappush(self._calls, (when, self._calls_made, callback))
        self._next_sweep = min(self._next_sweep, when)
        self._has_deadlines = True

    # --- running

    def run(self) -> None:
        """Turn until `stop`."""
        self.thread = get_ident()
        self._running = True
        while self._running:
            self.turn(self._patience())

    def stop(self) -> None:
        """End `run` after this turn."""
        self._running = False

    def close(self) -> None:
        """Close every machine's descriptor, and the poller. The loop is of no use after that."""
        for machine in list(self.machines.values()):
            self._release(machine)
        self._reap()
        self.poller.close()

    def turn(self, timeout: float | None) -> None:
        """One turn: wait at most `timeout` seconds, then let every machine that is ready run to completion."""
        machines = self.machines
        if self._unsettled:  # by what was fired between two turns
            self._settle()
        self.waiting = True
        events = self.poller.wait(timeout)
        self.waiting = False
        self.now = since = self.clock()
        self.turns += 1
        for descriptor, ready in events:
            machine = machines.get(descriptor)
            if machine is not None:
                if ready & machine.node.heeds:
                    self._step(machine, ready)
                else:
                    self._register(machine)
                if machine.since - since > TOGETHER and self._presumed:
                    self._flush()
                    since = self.clock()
        if self._revisits:
            self._revisit(since)
        if self._presumed:
            self._flush()
        self.stepping = None
        if events:
            self._has_deadlines = True
        if self._closing:
            self._reap()
        if self.now >= self._next_sweep:
            if timeout is not None:
                self.lags[int((self.now - self._next_sweep) * 1e6).bit_length()] += 1
            self.sweep()
        if self._unsettled:
            self._settle()

    def sweep(self) -> None:
        """Fire DEADLINE_PASSED at every machine whose state has lasted too long."""
        now = self.now
        overdue: list[Machine] = []
        has_deadlines = False
        for machine in self.machines.values():
            node = machine.node
            if node.deadline is None:
                continue
            has_deadlines = True
            if now - machine.since >= node.patience and machine.is_overdue(now):
                overdue.append(machine)
        self._has_deadlines = has_deadlines
        self._next_sweep = now + SWEEP_INTERVAL
        for machine in overdue:
            # An earlier one may have moved or ended this one: a drain's deadline cuts every connection.
            if self.machines.get(machine.descriptor) is not machine or not machine.is_overdue(now):
                continue
            self.fire(machine, machine.engine.table.triggers["DEADLINE_PASSED"])
        if self._calls:
            self._run_calls(now)
        if self._closing:
            self._reap()

    def _run_calls(self, now: float) -> None:
        """Run what is due, of that which was there before: a callback that calls again waits for the next sweep."""
        made = self._calls_made
        while self._calls and self._calls[0][0] <= now and self._calls[0][1] <= made:
            _, _, callback = heapq.heappop(self._calls)
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - one call's fault must not end the others
                self.crashed(self.wake_up, error)
        if self._calls:
            self._next_sweep = min(self._next_sweep, self._calls[0][0])
            self._has_deadlines = True

    # --- the parts of a turn

    def _patience(self) -> float | None:
        """How long the next wait may last: until the next sweep, or for ever when no state has a deadline."""
        if self._revisits or self._presumed or self._closing:
            return 0
        if not self._has_deadlines:
            return None
        return max(0.0, self._next_sweep - self.clock())

    def _step(self, machine: Machine, ready: int) -> None:
        """Let `machine` look at its descriptor and run to completion; `ready` is 0 where the bytes are its own."""
        self.stepping = machine
        try:
            trigger = machine.node.when_ready(machine, ready)
            if trigger is not None:
                machine.engine.fire(machine, trigger)
        except Exception as error:  # noqa: BLE001 - one machine's fault must not end the others
            self._close_crashed(machine, error)
        node = machine.node
        if node.mask & ~machine.registered or node.final:
            self._look_after(machine)

    def _look_after(self, machine: Machine) -> None:
        """A machine has come to rest: release it where it has ended, or note that the poller is to be told."""
        node = machine.node
        if node.final:
            self._release(machine)
        elif node.mask & ~machine.registered:
            self._unsettled.append(machine)

    def _settle(self) -> None:
        """Make the poller wait for what resting states wait for, where it does not do so already."""
        unsettled, self._unsettled = self._unsettled, []
        for machine in unsettled:
            if machine.node.mask & ~machine.registered and self.machines.get(machine.descriptor) is machine:
                self._register(machine)

    def _register(self, machine: Machine) -> None:
        """Tell the poller what the machine's state waits for: more than it knew, or less when what came is unwanted."""
        try:
            self.poller.modify(machine.descriptor, machine.node.mask)
        except OSError as error:  # somebody else has closed the descriptor: it can not be waited for any more
            self._close_crashed(machine, error)
            self._release(machine)
        else:
            machine.registered = machine.node.mask

    def _revisit(self, since: float) -> None:
        revisits, self._revisits = self._revisits, []
        for machine in revisits:
            if machine.node.mask & READABLE and self.machines.get(machine.descriptor) is machine:
                self._step(machine, 0)
                since = self.hasten(since)

    def _flush(self) -> None:
        presumed, self._presumed = self._presumed, []
        for machine in presumed:
            if machine.node.mask & WRITABLE and self.machines.get(machine.descriptor) is machine:
                self._step(machine, WRITABLE)

    def _close_crashed(self, machine: Machine, error: Exception) -> None:
        """A shell has raised: tell, and close that machine the way an operator would. One that can not be closed so
        is the process's own, and the error goes up."""
        self.crashed(machine, error)
        if machine.node.final:
            return
        order = machine.engine.table.triggers.__members__.get("CLOSE_ORDERED")
        if order is None or not machine.accepts(order):
            raise error
        try:
            machine.engine.fire(machine, order)
        except Exception as again:  # noqa: BLE001 - it is closed all the same: the row has been passed
            self.crashed(machine, again)

    def _release(self, machine: Machine) -> None:
        if self.machines.get(machine.descriptor) is not machine:
            return
        del self.machines[machine.descriptor]
        if machine.descriptor >= 0:
            with suppress(OSError, KeyError):  # somebody else has closed the descriptor
                self.poller.unregister(machine.descriptor)
        self._closing.append(machine)
        try:
            machine.ended()
        except Exception as error:  # noqa: BLE001 - as above; its descriptor is closed in any case
            self.crashed(machine, error)

    def _reap(self) -> None:
        """Close the descriptors of those that have ended: now no event of this batch can reach another's number."""
        closing, self._closing = self._closing, []
        for machine in closing:
            try:
                machine.close()
            except Exception as error:  # noqa: BLE001 - the others are to be closed too
                self.crashed(machine, error)


class WakeUp(Machine):
    """The descriptor by which other threads get the loop's attention: eventfd(2), or a pipe where there is none."""

    __slots__ = ("_calls", "_lock", "_loop", "_pending", "_write_end")

    def __init__(self, loop: Loop) -> None:
        if hasattr(os, "eventfd"):
            read_end = self._write_end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            read_end, self._write_end = os.pipe()
            os.set_blocking(read_end, False)
        super().__init__(Engine(wakeup.TABLE, WakeUp, loop.clock, dispatch=loop.dispatch), read_end)
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._pending = False
        self._lock = threading.Lock()

    def call(self, callback: Callable[[], None]) -> None:
        """From any thread. Calls that come while one is pending cost no system call."""
        with self._lock:
            self._calls.append(callback)
            if not self._pending:
                self._pending = True
                os.write(self._write_end, (1).to_bytes(8, "little"))

    def run_callbacks(self, ready: int) -> None:  # noqa: ARG002
        """Take the wake-up, then run what has been left; what comes meanwhile wakes the loop again."""
        os.read(self.descriptor, 8)
        self._pending = False
        loop = self._loop
        since = loop.now
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except Exception as error:  # noqa: BLE001 - nobody could call any more if the wake-up ended for it
                loop.crashed(self, error)
            since = loop.hasten(since)

    def close(self) -> None:
        """Close the descriptor, or both ends of the pipe. A thread that calls later finds a wake-up that is pending for
        ever, and not a number that is somebody else's by then."""
        with self._lock:
            self._pending = True
        for descriptor in {self.descriptor, self._write_end}:
            os.close(descriptor)
