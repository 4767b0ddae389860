"""Clients that do not retry: whatever is lost is a failure that they name.

Each is a thread with one connection at a time. It does what a careful client does: before it sends on a connection that
it has used before, it looks whether the server has closed it; an answer that says `Connection: close` is the last one.
"""

import threading
from collections import Counter
from typing import Self

from tests.support.client import Address, Client, CutShort, request
from tests.support.waiting import eventually


class Load:
    """Clients that ask `address` for `targets`, `clients` of them for each, until `stop`. Every second client of a
    target makes a new connection for each request. With `goes_on` a client that has lost a request makes the next."""

    def __init__(self, address: Address, targets: dict[str, bytes], clients: int = 2, *, goes_on: bool = False) -> None:
        self.address = address
        self._goes_on = goes_on
        self.failures: list[str] = []
        self.served: Counter[str] = Counter()
        self.connections = 0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(target, body, bool(number % 2)), daemon=True)
            for target, body in targets.items()
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish what it does, and end."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def reach(self, count: int, patience: float = 60.0) -> None:
        """Wait until so many requests have been answered; or one has failed."""
        eventually(lambda: self.total >= count or self.failures, patience, f"{count} answers")

    @property
    def total(self) -> int:
        return sum(self.served.values())

    def _run(self, target: str, body: bytes, fresh: bool) -> None:
        client: Client | None = None
        data = request(target)
        kind = f"{target} {'new' if fresh else 'kept'}"
        while not self._over.is_set():
            try:
                if client is None or not client.is_open():
                    if client is not None:
                        client.close()
                    client = Client(self.address)
                    self.connections += 1
                client.send(data)
                answer = client.answer()
                assert (answer.status, answer.body) == (200, body), (answer.status, answer.body[:80])
            except (OSError, CutShort, AssertionError) as error:
                self.failures.append(f"{kind}: {error!r}")
                if not self._goes_on:
                    return
                if client is not None:
                    client.close()
                client = None
                continue
            self.served[kind] += 1
            if fresh or answer.get("connection") == "close":
                client.close()
                client = None
        if client is not None:
            client.close()
