"""Which server is meant: the one that runs, the one of that number, or the one at that address."""

import os
from collections.abc import Sequence

from server.xray.runtime import Running, find
from server.xray.terminal.client import Client, XRayError
from server.xray.terminal.text import bare

TOKENS = ("CLERESTORY_TOKEN", "CLERESTORY_XRAY_TOKEN")
"""Where a token may be: ours, or the one by which the server itself was given it."""


def choose(address: str = "", pid: int | None = None, running: Sequence[Running] | None = None) -> Client:
    """A client of the server that is meant; `running` are those of this user. Raises XRayError."""
    found = find() if running is None else running
    if address:
        same = next((one.token for one in found if _plain(one.url) == _plain(address)), "")
        return Client(_plain(address), _token(same))
    if pid is not None:
        found = [one for one in found if one.pid == pid]
        if not found:
            raise XRayError(f"no server with an x-ray has the process number {pid}: without --pid we look for any")
    if not found:
        raise XRayError(
            "no server of this user with an x-ray is running: start one with python -m server, "
            "or say where it is: --xray 127.0.0.1:8001, or --xray unix:PATH"
        )
    if len(found) > 1:
        names = "".join(f"\n  --pid {one.pid:<8} {_plain(one.url)}  {bare(one.serving)}" for one in found)
        raise XRayError(f"{len(found)} servers are running; say which:{names}")
    return Client(_plain(found[0].url), _token(found[0].token))


def _token(known: str) -> str:
    """The environment's token goes before the one in the runtime file: who sets it means it."""
    return next((os.environ[name] for name in TOKENS if os.environ.get(name)), known)


def _plain(address: str) -> str:
    """`http://127.0.0.1:8001/` as people write it: `127.0.0.1:8001`."""
    return address.removeprefix("http://").removesuffix("/") if address.startswith("http://") else address
