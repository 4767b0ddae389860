"""Which server is meant: the one that runs, the one of that number, or the one at that address."""

import os
from collections.abc import Sequence

from clerestory.server.xray.serve.runtime import Running, TokenError, find, token_of
from clerestory.server.xray.terminal.client import Client, XRayError
from clerestory.server.xray.terminal.text import bare
from clerestory.server.xray.terminal.waits import Waits

TOKENS = ("CLERESTORY_TOKEN", "CLERESTORY_XRAY_TOKEN")
"""Where a token may be: ours, or the one by which the server itself was given it."""


def choose(
    address: str = "", pid: int | None = None, running: Sequence[Running] | None = None, waits: Waits | None = None
) -> Client:
    """A client of the server that is meant; `running` are those of this user. Raises XRayError."""
    found = find() if running is None else running
    if address:
        same = next((one.token for one in found if _plain(one.url) == _plain(address)), "")
        return Client(_plain(address), _token(same), waits=waits)
    if pid is not None:
        found = [one for one in found if one.pid == pid]
        if not found:
            raise XRayError(f"no server with an x-ray has the process id {pid}: without --pid we look for any")
    if not found:
        raise XRayError(
            "no server of this user with an x-ray is running: start one with clerestory, "
            "or say where it is: --xray 127.0.0.1:8001, or --xray unix:PATH"
        )
    if len(found) > 1:
        names = "".join(f"\n  --pid {one.pid:<8} {_plain(one.url)}  {bare(one.serving)}" for one in found)
        raise XRayError(f"{len(found)} servers are running; say which:{names}")
    return Client(_plain(found[0].url), _token(found[0].token), waits=waits)


def _token(known: str) -> str:
    """The token in the environment, if there is one, goes before the one in the runtime file. Raises XRayError."""
    try:
        return next((token for name in TOKENS if (token := token_of(os.environ.get(name, ""), name))), known)
    except TokenError as error:
        raise XRayError(str(error)) from error


def _plain(address: str) -> str:
    """`http://127.0.0.1:8001/` as people write it: `127.0.0.1:8001`."""
    return address.removeprefix("http://").removesuffix("/") if address.startswith("http://") else address
