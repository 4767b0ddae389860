"""The handlers of one loop that have a WebSocket: the process waits for them when it drains, and tells them in time."""

from collections.abc import Callable
from typing import Protocol

from clerestory.statemachines.loop import Loop


class Conversation(Protocol):
    """A handler's call (handlers.websocket.calls)."""

    def drain(self) -> None:
        """The server ends."""


class Conversations:
    """`runs` are the calls that have not ended (server.process.process)."""

    def __init__(self) -> None:
        self.runs: set[Conversation] = set()
        self.on_run_ended: Callable[[], object] = lambda: None

    def ended(self, conversation: Conversation) -> None:
        """One has ended."""
        self.runs.discard(conversation)
        self.on_run_ended()

    def drain(self) -> None:
        """Close those that are left: the time for it is over."""
        for conversation in list(self.runs):
            conversation.drain()


def conversations_on(loop: Loop) -> Conversations:
    """Those of `loop`."""
    found: Conversations | None = loop.registry.get(Conversations)
    if found is None:
        found = loop.registry[Conversations] = Conversations()
    return found
