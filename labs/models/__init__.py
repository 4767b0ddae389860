"""The same small server in every way of serving, for the table at the end of the report.

A client sends lines and gets a line for each: `echo TEXT` is answered with the text, `email NUMBER` with that e-mail,
which the server gets from the mail store (`labs.mail_store`), on a connection that it keeps for this client. All of
them are `serve(listener, host, port)`, with the store's address, and none does anything that the others do not do.
"""

from collections.abc import Callable
from dataclasses import dataclass

from labs.models import blocking, callbacks, coroutines, machines, polling


@dataclass(frozen=True, slots=True)
class Model:
    """A way of serving: its name, and the server."""

    name: str
    serve: Callable[..., None]


MODELS = (
    Model("one at a time", blocking.serve_one),
    Model(f"a pool of {blocking.POOL} threads", blocking.serve_pool),
    Model("a thread each", blocking.serve_each),
    Model("busy polling", polling.serve),
    Model("epoll, callbacks", callbacks.serve),
    Model("epoll, machines", machines.serve),
    Model("asyncio, coroutines", coroutines.serve),
)
