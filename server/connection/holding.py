"""What the operations of one exchange have taken and may not have given back, such as a connection to an upstream. It
is remembered until the exchange ends, and is given back then, whatever became of the handler."""

from collections.abc import Callable

from clerestory.handlers.api.operations import Held

HOLDING = 16
"""Things held by the operations of one exchange, beyond which those that are over are looked for and forgotten."""


class Holding:
    """What is held, the latest last."""

    __slots__ = ("held",)

    def __init__(self, held: Held) -> None:
        self.held = [held]

    def __len__(self) -> int:
        return len(self.held)

    def keep(self, held: Held) -> "Holding":
        """Remember `held`, and return itself; what is over by itself is forgotten when there are many."""
        kept = self.held
        if kept[-1] is not held:
            if len(kept) >= HOLDING:
                kept[:] = [one for one in kept if not one.is_over]
            kept.append(held)
        return self

    def leave(self, guarded: Callable[[Callable[[], object]], object]) -> None:
        """Give all of it back; `guarded` makes each call, so that no fault of one keeps the others."""
        for held in self.held:
            if not held.is_over:
                guarded(held.leave)
