"""The loop: wait -> dispatch -> settle interest -> reap -> sweep deadlines; and the descriptor -> machine map.

Whatever has a descriptor is a machine, and the loop knows no kinds. One without a descriptor of its own, such as work
in a thread, is in the map under a negative number: there is nothing to register, all else is the same. Its laws:

- Readiness fires triggers: the state's `when_ready` looks once, at a bounded amount, and names the fact.
- Interest and deadline are read from the state; nobody arms them by hand.
- Interest is lazy: it is widened at a turn's end, where a state then wants more than is registered, and narrowed only
  when a report comes that the state does not want. A request in one segment, answered in one, costs no `epoll_ctl`.
- What the machines of one turn send leaves together, at its end (`defer_write`): the first send wakes the reader,
  the others find it awake, and a system call spoils fewer caches when the next one is of the same kind. It does not
  wait for a slow step: where few machines are ready, or steps have lately been slow, it leaves before the next step.
- Deadlines are swept a few times a second: entering a state arms nothing, since the engine notes the time anyway. No
  deadline fires before every descriptor that is ready has been looked at: a client whose bytes lie in the kernel is
  not late, however long the process was stopped or a handler blocked it, and however many are ready at once.
- What one machine has to tell another is queued (`tell`), and told when the step that is under way has ended: no walk
  runs inside a walk, and the stack is no deeper however many machines take part.
- Only the loop closes descriptors, and only between two batches, so that a number is never reused within one.
- An exception of one machine ends that machine, never the loop. One that has no row for that (a listener, the process)
  stays in its state, and is not waited for until the next sweep: a fault that repeats is logged and does not spin.

The only module that reads the clock.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import get_ident
from typing import Any

from clerestory.server.loop.base import BaseLoop, Crashed
from clerestory.server.loop.messages import Messages
from clerestory.server.loop.poller import READABLE, WRITABLE, Poller
from clerestory.server.loop.sweep import Sweeper
from clerestory.server.loop.wakeup import WakeUp
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import BUCKETS, Dispatch, Engine, Machine

TOGETHER = 0.001
"""Seconds that an answer, or a request to an upstream, waits for others of its turn, to leave with them: for a hundred
of them, or one slow handler."""

FEW = 2
"""Events in a batch up to which an answer does not wait for the other machines: sending together saves little there."""

SLOW = 0.01
"""Seconds of a step from which it is a slow one. A process that shares its core is kept from it for 3 or 4 ms at a
time, which looks the same."""

WARY = 0.25
"""Seconds after a slow step in which answers do not wait for other steps: a slow handler is rarely asked just once."""


class Loop(BaseLoop):
    """One thread's machines, and what they wait for."""

    def __init__(
        self,
        poller: Poller,
        crashed: Crashed,
        *,
        clock: Callable[[], float] = time.monotonic,
        limits: Mapping[str, float] | None = None,
        dispatch: Dispatch = Dispatch.COMPILED,
    ) -> None:
        super().__init__(poller, crashed, clock, limits or {}, dispatch)
        self.registry: dict[object, Any] = {}
        """As statemachines.loop.Loop.registry."""
        self.engines: set[Engine] = set()
        """Those of all machines that there have been: what these have counted."""
        self.turns = self.thread = 0
        """The identity of the thread that runs it, once it does."""
        self.waiting = False
        """Whether it waits for readiness now."""
        self.stepping: Machine | None = None
        """The machine whose step it is in; None between two batches."""
        self.lags = [0] * BUCKETS
        """How late the sweeps were, as in a node's dwell: a loop that is busy, or stood in a handler, comes late."""
        self.outside: Callable[[], None] | None = None  # asks for a turn, where another loop runs this one
        self.running = self._turning = False
        self._wary_until = self.now
        self._messages = Messages()
        self._set_aside: list[Machine] = []
        """Machines that have raised and are not waited for until the next sweep."""
        self.busy = 0.0
        """Seconds between the last wake-up and the wait after it: how long others have waited for their turn."""
        self._scheduled_reads: list[Machine] = []
        self._deferred: list[Machine] = []
        self._unsettled: list[Machine] = []
        self._closing: list[Machine] = []
        self.sweeper = Sweeper(self)
        self.wake_up = WakeUp(self)
        self.add(self.wake_up)

    # --- what a loop offers (statemachines.loop.Loop)

    def add(self, machine: Machine) -> None:
        """Put `machine` into the map and wait for what its state waits for."""
        if machine.descriptor >= 0:
            machine.registered = machine.node.mask
            self.poller.register(machine.descriptor, machine.registered)
        self.engines.add(machine.engine)
        self.machines[machine.descriptor] = machine
        self.has_deadlines = True
        self._wake_outside()

    def tell(self, machine: Machine, trigger: Name, payload: Any = None) -> None:
        """Run `machine` from `trigger`: when the step that is under way has ended, in this turn; at once where none is.
        Its actions find `payload` in `Machine.payload`. One that has ended by then, rests in a state without a row for
        the trigger, or is at something else than `payload`, is not told: the message was overtaken."""
        self._messages.add(machine, trigger, payload)
        if self.stepping is None:
            self._messages.deliver(self)
            self._wake_outside()

    def tell_later(self, machine: Machine, trigger: Name) -> None:
        """As `tell`, in the next turn, behind what that reports."""
        self._messages.later.append((machine, trigger, None))

    def fire(self, machine: Machine, trigger: Name) -> None:
        """Run `machine` from `trigger` now. For the loop, and for what is no machine, between two steps; all others
        `tell`."""
        self.has_deadlines = True
        outer, self.stepping = self.stepping, machine
        try:
            machine.engine.fire(machine, trigger)
        except Exception as error:  # noqa: BLE001 - one machine's fault must not end the others
            self._close_crashed(machine, error)
        self._look_after(machine)
        self.stepping = outer
        if outer is None and self._messages.waiting:
            self._messages.deliver(self)
        self._wake_outside()

    def schedule_read(self, machine: Machine) -> None:
        """In the next turn look at `machine` as if it were readable."""
        self._scheduled_reads.append(machine)

    def defer_write(self, machine: Machine) -> None:
        """At the end of the turn look at `machine` as if it were writable, which a socket usually is."""
        if machine.descriptor < 0:
            machine.write_soon()
            return
        self._deferred.append(machine)
        self._wake_outside()

    def flush_if_late(self, since: float) -> float:
        """Between two of a step's many parts: what is deferred since `since` does not wait for all of them.
        Returns since when the others wait."""
        if not self._deferred or (self.now >= self._wary_until and self.clock() - since <= TOGETHER):
            return since
        stepping = self.stepping
        self._flush()
        self.stepping = stepping
        return self.clock()

    def set_interest(self, machine: Machine, interest: int | None) -> None:
        """Of what `machine`'s state waits for, wait for so much; None: not even for a hang-up."""
        if machine.descriptor < 0:
            machine.want(interest)
            return
        machine.registered = machine.node.mask  # as far as it is widened: by the caller
        if interest is None:
            self.poller.unregister(machine.descriptor)
            return
        try:
            self.poller.modify(machine.descriptor, interest)
        except OSError:  # it had been None
            self.poller.register(machine.descriptor, interest)

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread, soon."""
        self.wake_up.call(callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Run `callback` in the first sweep from `when` on, which is brought forward for it. A call is not taken back:
        one that is no longer wanted sees that for itself."""
        self.sweeper.call_at(when, callback)
        self.has_deadlines = True
        self._wake_outside()

    def callback_failed(self, error: Exception) -> None:
        """As BaseLoop.callback_failed."""
        self.crashed(self.wake_up, error)

    # --- running

    def run(self) -> None:
        """Turn until `stop`."""
        self.adopt(None)
        while self.running:
            self.turn(self.poll_timeout())

    def adopt(self, outside: Callable[[], None] | None) -> None:
        """From now on this thread turns it, until `stop`; `outside` is called when there is work between two turns."""
        self.thread, self.running, self.outside = get_ident(), True, outside

    def stop(self) -> None:
        """End `run` after this turn."""
        self.running = False
        self._wake_outside()

    def _wake_outside(self) -> None:
        if self.outside is not None and not self._turning:
            self.outside()

    def close(self) -> None:
        """Close every machine's descriptor, and the poller. From now on nothing is told, and the loop is of no use."""
        self.stepping = self.wake_up
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
        self.reported = events = self.poller.wait(timeout)
        outer, self._turning = self._turning, True
        self.waiting = False
        self.now = since = before = self.clock()
        self.turns += 1
        wary = len(events) <= FEW or since < self._wary_until
        for descriptor, ready in events:
            machine = machines.get(descriptor)
            if machine is not None:
                if ready & machine.node.accepted_events:
                    if wary and self._deferred:
                        self._flush()
                    self._step(machine, ready)
                else:
                    self._register(machine)
                at = machine.since
                if at - since > TOGETHER:
                    if at - before > SLOW:
                        wary = True
                        self._wary_until = at + WARY
                    if self._deferred:
                        self._flush()
                    since = before = self.clock()
                elif at > before:
                    before = at
        if self._scheduled_reads:
            self._run_scheduled_reads(since)
        if self._messages.waiting or self._messages.later:
            self._messages.deliver(self, later=True)
        if self._deferred:
            self._flush()
        self.stepping = None
        if events:
            self.has_deadlines = True
        if self._closing:
            self._reap()
        if self.now >= self.sweeper.due:
            if timeout is not None:
                self.lags[int((self.now - self.sweeper.due) * 1e6).bit_length()] += 1
            self.sweep()
        if self._unsettled:
            self._settle()
        self._turning = outer

    def sweep(self) -> None:
        """Fire what is late, make the calls that are due, and wait again for machines that have raised."""
        self.sweeper.sweep()
        if self._set_aside:
            self._take_back()
        if self._messages.waiting:
            self._messages.deliver(self)
        if self._closing:
            self._reap()

    # --- the parts of a turn

    def poll_timeout(self) -> float | None:
        """How long the next wait may last: until the next sweep, or forever when no state has a deadline."""
        if not self.has_deadlines:
            self.busy = 0.0
            return 0 if self._has_work() else None
        now = self.clock()
        self.busy = now - self.now
        return 0 if self._has_work() else max(0.0, self.sweeper.due - now)

    def _has_work(self) -> bool:
        """Whether there is something to do in the next turn, whatever the kernel reports."""
        return bool(self._scheduled_reads or self._deferred or self._closing or self._messages)

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
        if self._messages.waiting:
            self._messages.deliver(self)

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
        except OSError as error:  # somebody else has closed the descriptor: it cannot be waited for any more
            self._close_crashed(machine, error)
            self._release(machine)
        else:
            machine.registered = machine.node.mask

    def _run_scheduled_reads(self, since: float) -> None:
        scheduled, self._scheduled_reads = self._scheduled_reads, []
        for machine in scheduled:
            if machine.node.mask & READABLE and self.machines.get(machine.descriptor) is machine:
                self._step(machine, 0)
                since = self.flush_if_late(since)

    def _flush(self) -> None:
        deferred, self._deferred = self._deferred, []
        for machine in deferred:
            if machine.node.mask & WRITABLE and self.machines.get(machine.descriptor) is machine:
                self._step(machine, WRITABLE)

    def _close_crashed(self, machine: Machine, error: Exception) -> None:
        """A shell has raised: tell, and close that machine the way an operator would. One that cannot be closed so is
        the process's own: it stays as it is, and is not waited for until the next sweep."""
        self.crashed(machine, error)
        if machine.node.final:
            return
        order = machine.engine.table.triggers.__members__.get("CLOSE_ORDERED")
        if order is None or not machine.accepts(order):
            if machine.descriptor >= 0 and machine not in self._set_aside:
                with suppress(OSError, KeyError):  # somebody else has closed the descriptor
                    self.poller.unregister(machine.descriptor)
                machine.registered = READABLE | WRITABLE  # so that nothing tells the poller of it
                self._set_aside.append(machine)
                self.has_deadlines = True
            return
        try:
            machine.engine.fire(machine, order)
        except Exception as again:  # noqa: BLE001 - it is closed all the same: the row has been passed
            self.crashed(machine, again)

    def _take_back(self) -> None:
        """Wait again for the machines that have raised."""
        set_aside, self._set_aside = self._set_aside, []
        for machine in set_aside:
            if self.machines.get(machine.descriptor) is machine:
                machine.registered = machine.node.mask
                try:
                    self.poller.register(machine.descriptor, machine.registered)
                except (OSError, ValueError) as error:
                    self.crashed(machine, error)

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
