"""The load of WebSockets: `python -m benchmarks.ws PORT SECONDS BYTES CONNECTIONS`, a process on the load's CPU.

Each connection sends one binary message and, when it has come back, the next. The frames are made beforehand, and only
the length of what comes back is looked at, once a first message has been compared: a client that decoded would be
slower than the servers. Nothing is compressed: the client does not offer it.
"""

import base64
import contextlib
import os
import resource
import select
import socket
import sys
import time

from benchmarks.clients import PATIENCE, Done, run
from benchmarks.processes import Server, ServerFailed

MASK = b"\x5a\xa5\x33\xcc"


def load(server: Server, size: int, seconds: float, connections: int = 64) -> Done:
    """Echo messages of `size` bytes. Raises ServerFailed where one does not come back as it was."""
    return run(server, "benchmarks.ws", seconds, size, connections)


def opened(port: int, path: str = "/echo") -> socket.socket:
    """A WebSocket whose handshake is done. Raises ServerFailed."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    client.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # a byte at a time: a frame may follow at once
        byte = client.recv(1)
        if not byte:
            break
        head += byte
    if not head.startswith(b"HTTP/1.1 101 "):
        client.close()
        raise ServerFailed(f"a handshake was answered with {head[:40]!r}")
    return client


def frame(payload: bytes, mask: bytes = MASK) -> bytes:
    """A binary message in one frame (RFC 6455 section 5.2), masked as a client's; a server's with an empty mask."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes((0x82, bit | size))
    elif size < 1 << 16:
        head = bytes((0x82, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x82, bit | 127)) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    repeated = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + masked.to_bytes(size, "big")


def compare(client: socket.socket, size: int) -> int:
    """Send one message and compare what comes back: how many bytes that is."""
    payload = os.urandom(size)
    wanted = frame(payload, b"")
    client.sendall(frame(payload))
    got = b""
    while len(got) < len(wanted):
        piece = client.recv(1 << 20)
        if not piece:
            break
        got += piece
    if got != wanted:
        raise ServerFailed(f"a message of {size} bytes did not come back as it was, in one frame")
    return len(wanted)


def echo(clients: list[socket.socket], size: int, seconds: float) -> int:
    """How many messages come back in so many seconds."""
    sent, length = frame(b"x" * size), compare(clients[0], size)
    by_number = {client.fileno(): client for client in clients}
    left = dict.fromkeys(by_number, length)
    done = 0
    with contextlib.closing(select.epoll()) as poller:
        for number, client in by_number.items():
            poller.register(number, select.EPOLLIN)
            client.sendall(sent)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for number, _ in poller.poll(0.2):
                piece = by_number[number].recv(1 << 20)
                if not piece:
                    raise ServerFailed(f"the server has closed a WebSocket after {done} messages")
                left[number] -= len(piece)
                if not left[number]:
                    done += 1
                    left[number] = length
                    by_number[number].sendall(sent)
    return done


def main(port: int, seconds: float, size: int, connections: int) -> None:
    """Open them, say so, wait for a line, and write how many messages came back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = [opened(port) for _ in range(connections)]
    for client in clients:
        compare(client, size)
    print("ready", flush=True)
    if sys.stdin.readline():
        print(echo(clients, size, seconds), flush=True)
    for client in clients:
        client.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
