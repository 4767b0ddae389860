"""What a connection becomes behind a 101: bytes pass both ways, and HTTP has ended.

An `Upgrade` is the body of a response with status 101 (RFC 9110 section 15.2.2). The connection then rests in
TUNNELLING and reads and writes for it: a tunnel to an upstream (handlers.proxy.tunnel), or a WebSocket of an
application (handlers.websocket.link).
"""

from abc import abstractmethod
from typing import Any

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.statemachines.contract import Name


@mypyc_attr(allow_interpreted_subclasses=True)
class Upgrade(Operation):
    """What `near`, the client's connection, has switched to. `near` offers the methods of handlers.proxy.tunnel.End.

    It is an operation only so that the x-ray shows it, and that it is cancelled when the connection ends.
    """

    __slots__ = ()

    @abstractmethod
    def protocol_name(self) -> bytes:
        """The protocol, for the field Upgrade of the 101."""

    @abstractmethod
    def join(self, near: Any, early: bytes) -> Name | None:
        """The 101 has been sent, and `early` has come already. Returns the trigger for `near` if it is over at once."""

    @abstractmethod
    def pass_on(self, end: Any, ready: int) -> Name | None:
        """Do what `end` is ready for, a bounded read and a write. Returns the trigger for `end`, if it is over."""

    @abstractmethod
    def client_ended_first(self) -> bool:
        """Whether the client ended it, and not the other side."""

    def is_hosted(self) -> bool:
        """Whether the other side is an application in this process; if not, it is an upstream."""
        return False

    def start(self, executor: Executor) -> None:  # noqa: ARG002
        """As Operation.start: it is not awaited."""
        raise TypeError(f"a {type(self).__name__} is not awaited: it is the body of a response")

    def close(self) -> None:
        """The response that it was the body of is given up."""
        self.cancel()
