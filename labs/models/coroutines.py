"""Coroutines on asyncio, with its streams: reads like the thread, runs like the loop."""

import asyncio
import functools
import socket

from labs.serving import BACKLOG


async def attend(
    host: str, port: str, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter
) -> None:
    """The whole life of a connection."""
    store_reader, store_writer = await asyncio.open_connection(host, int(port))
    while line := await client_reader.readline():
        verb, _, rest = line.partition(b" ")
        if verb == b"email":
            store_writer.write(rest)
            rest = await store_reader.readline()
        client_writer.write(rest)
        await client_writer.drain()
    store_writer.close()
    client_writer.close()


async def serve_forever(listener: socket.socket, host: str, port: str) -> None:
    """A task for each connection."""
    interest_set = functools.partial(attend, host, port)
    server = await asyncio.start_server(interest_set, sock=listener, backlog=BACKLOG)
    await server.serve_forever()


def serve(listener: socket.socket, host: str, port: str) -> None:
    """asyncio's own loop."""
    asyncio.run(serve_forever(listener, host, port))
