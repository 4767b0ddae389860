"""The x-ray's listeners: they accept when the server has no descriptor left, and when the x-ray is full."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from clerestory.handlers.api.messages import Request
from clerestory.server.connection.room import connections
from clerestory.server.connection.service import Service
from clerestory.server.net.listener import Listener
from clerestory.server.xray.serve.room import STUCK, dispensable
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.listener import Trigger as T

RESERVE = 4
"""Descriptors held for those who look when the process has none left."""


class ReservingListener(Listener):
    """A listener that has descriptors put by: when there are none it gives up one of these and accepts all the same.
    When there is no room, it closes a connection that can be done without (server.xray.serve.room). Clients are refused
    only where every connection is needed.

    accept(2) wants a descriptor before it looks whether anybody waits. So behind the last one who did, one is given up
    for nothing, and put by again: else the server would take it, and the reserve be gone with half of those it is for.
    """

    __slots__ = ("_before", "_is_known", "_kept")

    def __init__(self, service: Service, listening: socket.socket, is_known: Callable[[Request], bool]) -> None:
        super().__init__(service, listening)
        self._is_known = is_known
        self._before = 0
        """Connections that had been accepted before this turn."""
        self._kept: list[int] = []
        self._refill()

    def connection_ended(self) -> None:
        """A descriptor was given back: put it by, or go on accepting."""
        self._refill()
        if self.accepts(T.CONNECTION_ENDED):
            self._service.loop.tell(self, T.CONNECTION_ENDED)

    def _refill(self) -> None:
        with suppress(OSError):
            while len(self._kept) < RESERVE:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def accept(self, ready: int) -> Name | None:
        """As Listener.accept."""
        self._before = self._service.accepted
        for _ in range(self._service.limits.max_accepts):
            fact = super().accept(ready)
            if fact is T.DESCRIPTORS_EXHAUSTED and self._kept:
                os.close(self._kept.pop())
            else:
                break
        self._refill()
        return fact

    def is_overrun(self) -> bool:
        """As Listener.is_overrun; those who wait are not refused while a connection is about to be dispensable."""
        return super().is_overrun() and self._dispensable(STUCK) is None

    def has_room(self) -> bool:
        """As Listener.has_room; or a connection is about to be dispensable."""
        return super().has_room() or self._dispensable(STUCK) is not None

    def _make_room(self) -> int:
        service = self._service
        if service.has_room() and (self._kept or service.accepted > self._before):
            return 0  # what is wanted is a descriptor: some are put by, or nobody may be waiting any more
        one = self._dispensable()
        if one is None:
            return 0
        service.loop.tell(one, ConnectionTrigger.CLOSE_ORDERED)
        return 1

    def _can_make_room(self) -> bool:
        return self._dispensable() is not None

    def _dispensable(self, soon: float = 0.0) -> Machine | None:
        service = self._service
        return dispensable(connections(service), service.loop.clock() + soon, self._is_known)

    def close(self) -> None:
        """Give the socket and everything put by back."""
        super().close()
        while self._kept:
            os.close(self._kept.pop())


class DoorListener(ReservingListener):
    """The same, behind a door (server.net.door). That the supervisor has gone is told elsewhere."""

    __slots__ = ()

    def _lost(self, reason: str | None) -> Name:  # noqa: ARG002
        return T.SOCKET_LOST
