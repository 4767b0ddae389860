"""What is wrong where an upstream does not answer, for the client and for operators."""

from clerestory.handlers.api.errors import BackendError

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2: what may be sent again when nobody knows whether it was done."""

RETRY_AFTER = (b"retry-after", b"1")


class UpstreamError(BackendError):
    """There is no answer, or no more of it: 502, 503 or 504.

    `cause` is one word or two for operators, `where` the upstream. `safe` says that the same request may be sent again,
    `reached` that the upstream had been connected to, `sent` that part of the request was sent, and `stale` that this
    was on a connection that had been used before, and brought not one byte.
    """

    def __init__(
        self,
        status: int,
        cause: str,
        detail: str,
        where: str = "",
        *,
        safe: bool = False,
        reached: bool = True,
        sent: bool = False,
        stale: bool = False,
    ) -> None:
        super().__init__(status, cause, detail, where, (RETRY_AFTER,) if status == 503 else ())
        self.safe = safe
        self.reached = reached
        self.sent = sent
        self.stale = stale
