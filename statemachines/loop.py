"""The interface between machines and the loop that runs them."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Dispatch, Machine


class Loop(Protocol):
    """What a loop offers to the machines that run on it."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds, monotonic: the only clock there is."""

    @property
    def limits(self) -> Mapping[str, float]:
        """The deadlines in force, by option."""

    @property
    def dispatch(self) -> Dispatch:
        """How transitions are dispatched: by compiled edges or by the library."""

    @property
    def registry(self) -> dict[object, Any]:
        """What shells store for this loop, for as long as it lives, by owner: pools, engines."""

    def add(self, machine: Machine) -> None:
        """Put a machine into the map under its `descriptor` and wait for what its state waits for. A negative number is
        not a descriptor: such a machine is moved only from outside."""

    def tell(self, machine: Machine, trigger: Name, payload: Any = None) -> None:
        """Fire a trigger from outside the machine's own readiness: an operation has finished, a process drains. It is
        fired when the step that is under way has ended, in the same turn; at once if there is none. No trigger is fired
        inside an action. The actions find `payload` in `Machine.payload`. If the machine has ended by then, its state
        has no row for the trigger, or it is at something else than `payload` (Machine.is_about), nothing happens."""

    def schedule_read(self, machine: Machine) -> None:
        """In the next turn treat the machine as readable: what it waits for is already in its own buffer."""

    def defer_write(self, machine: Machine) -> None:
        """At the end of this turn treat the machine as writable: what the machines of a turn send is sent together."""

    def set_interest(self, machine: Machine, interest: int | None) -> None:
        """Wait for only this part of what the machine's state waits for; with None, not even for a hang-up. For the two
        ends of a tunnel, whose state waits for two things: which of them depends on what has been passed on."""

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread. The only method that other threads may call."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Run `callback` in the first sweep from `when` on. A call cannot be cancelled: it must check whether it is
        still needed."""
