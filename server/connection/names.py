"""What a request is called: its id, in the log, in the x-ray, in errors and for upstreams.

It is made of a name for this run of the process, the connection's number, and the request's on that: `9f1c02ab-17-3`.
So `clerestory show 17` finds it, and no other run has the same. Where a peer is trusted (`--trust`), the id that it
sends in `x-request-id` is taken over instead, if it has at most LONGEST characters, all such as ids are made of: it is
written into logs, fields, HTML and JSON.
"""

import re
from collections.abc import Iterable

from clerestory.handlers.api.messages import REQUEST_ID, Request
from clerestory.handlers.proxy.forwarding import Network, is_trusted, peer_host

LONGEST = 128
"""Characters of an id that is taken over: a UUID has 36, what AWS sends up to 100."""

KEPT = 1024
"""Peers of which it is remembered whether they are trusted."""

_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._~:;/+=@-]{1,%d}" % LONGEST).fullmatch


class RequestNames:
    """Names the requests of one service. `run` is what the ids of this run begin with; without it clients are not told
    of ids. With `always` each response has its request's id in `x-request-id`, else only those with an error do."""

    __slots__ = ("_known", "_trusted", "prefix", "told_from")

    def __init__(self, run: str = "", trusted: Iterable[Network] = (), *, always: bool = False) -> None:
        self.prefix = f"{run}-" if run else ""
        self.told_from = 0 if always else 400 if run else 1000
        """The least status of the responses that have the id in `x-request-id`."""
        self._trusted = tuple(trusted)
        self._known: dict[str, bool] = {}

    def name(self, number: int, ordinal: int, request: Request | None) -> str:
        """The id of `request`, which is the one with that ordinal on connection `number`."""
        given = self.given(request) if request is not None else ""
        return given or f"{self.prefix}{number}-{ordinal}"

    def given(self, request: Request) -> str:
        """The id that a trusted peer has sent; empty where there is none to be taken over."""
        if not self._trusted:
            return ""
        said = request.get(REQUEST_ID)
        if said is None or _ACCEPTABLE(said) is None or not self._is_trusted(request.peer):
            return ""
        return said.decode("ascii")

    def _is_trusted(self, peer: str) -> bool:
        host = peer_host(peer)
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            # A Unix socket's peer has no address: who may connect to it is decided by its mode.
            known = self._known[host] = not host or is_trusted(host, self._trusted)
        return known
