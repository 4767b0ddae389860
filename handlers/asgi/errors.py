"""What `send()` raises, and what an exchange is told of an application that does not answer."""

from clerestory.handlers.api.errors import HTTPError


class ClientDisconnected(OSError):
    """The client has gone: nothing can be sent to it any more."""


class EventError(RuntimeError):
    """An application has sent an event that the specification does not know, or not there."""


def incomplete(*, begun: bool, told: bool) -> Exception:
    """What is wrong with an end before the answer's; one that was told to end before it began is no fault."""
    if begun:
        return EventError("the application began its answer and did not end it")
    if told:
        return HTTPError(503, "The server is shutting down.")
    return EventError("the application returned without an answer")
