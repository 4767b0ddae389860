"""`--slow 500ms`: one line in the log for each request that takes so long, with what it waited for.

    request_slow  id=17-3  peer=127.0.0.1:5000  method=GET  target=/orders/7  status=200  seconds=0.64
                  waited="598 ms thread find_order at shop/db.py:41 find_order, 40.1 ms a free thread"

It is kept, too: `clerestory waits --request 17-3` shows its whole path.
"""

from clerestory.server.connection.service import Service
from clerestory.server.logging.logs import Logs
from clerestory.server.logging.redaction import without_query
from clerestory.server.xray.observe.breakdown import parts_of
from clerestory.server.xray.observe.profile import Example, Profile
from clerestory.server.xray.serve.waits import words


def log_slow(profile: Profile, service: Service, seconds: float, logs: Logs) -> None:
    """Have `profile`, to which the exchanges of `service` are added from now on, tell those that take so long."""

    def tell(example: Example) -> None:
        logs.warning(
            "request_slow",
            id=example.id,
            peer=example.peer,
            method=example.method,
            target=example.target if logs.queries or "?" not in example.target else without_query(example.target),
            status=example.status,
            seconds=round(example.seconds, 3),
            waited=words(parts_of(example.spent, example.waits, example.lines)),
        )

    profile.slow, profile.tell_slow = seconds, tell
    service.on_exchange_ended = profile.add
