"""Where the calls that wait for descriptors differ: what each tells of the same event, and what it can hold."""

import contextlib
import select
import socket
import timeit

from benchmarks.report import Table
from benchmarks.summary import duration
from clerestory.server.loop.poller import POLLERS, READABLE, open_poller


def bound_of_select() -> str:
    """What select says of a descriptor that it cannot hold; empty where there is no select."""
    if "select" not in POLLERS:
        return ""
    try:
        open_poller("select").register(1024, READABLE)
    except ValueError as error:
        return str(error)
    return ""


def details() -> Table:
    """What each call itself tells of the same event, with no interest registered; and how long a short wait lasts."""
    table = Table("Details", ("call", "a peer that has reset, no interest", "a wait of 0.1 ms takes"))
    for name in POLLERS:
        with contextlib.closing(open_poller(name)) as poller:
            took = min(timeit.repeat(lambda poller=poller: poller.wait(0.0001), number=1, repeat=20))  # type: ignore[misc]
        table.rows.append((name, reset_as_told_by(name), duration(took)))
    return table


def reset_as_told_by(name: str) -> str:
    """What the bare call reports of a connection that its peer has reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        with ours:
            ours.send(b"not read: so the close is a reset")
            theirs.close()
            if name == "select":
                _, _, exceptional = select.select([], [], [ours], 0.01)
                return f"{len(exceptional)} reports"
            with contextlib.closing(open_poller(name)) as poller:
                poller.register(ours.fileno(), 0)
                ((_, bits),) = poller.wait(0.01)
            names = {select.POLLIN: "IN", select.POLLERR: "ERR", select.POLLHUP: "HUP"}
            return " ".join(word for bit, word in names.items() if bits & bit)
