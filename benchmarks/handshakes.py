"""New TLS connections: `python -m benchmarks.handshakes PORT SECONDS KIND`, a process on the load's CPU.

Each makes a connection, asks for one small answer, and closes; eight at a time. KIND is `full`, a handshake of TLS 1.3
that nothing went before, or `resumed`, with the ticket of the connection before.
"""

import socket
import ssl
import sys
import threading
import time

from benchmarks.clients import PATIENCE, Done, run
from benchmarks.processes import Server, ServerFailed

KINDS = ("full", "resumed")
THREADS = 8
REQUEST = b"GET /constant?n=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def load(server: Server, kind: str, seconds: float) -> Done:
    """Make connections for so many seconds. Raises ServerFailed."""
    return run(server, "benchmarks.handshakes", seconds, kind)


def context() -> ssl.SSLContext:
    """A client's, of TLS 1.3 alone; whose certificate it is shown it does not look at."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def opened(port: int, with_context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A connection whose handshake is done."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return with_context.wrap_socket(plain, server_hostname="localhost", session=session)


def once(port: int, with_context: ssl.SSLContext, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
    """One connection and one request on it: its session, and whether it was resumed. Raises ServerFailed."""
    with opened(port, with_context, session) as client:
        client.sendall(REQUEST)
        got = b""
        while piece := client.recv(65536):
            got += piece
        if not got.startswith(b"HTTP/1.1 200 "):
            raise ServerFailed(f"answered with {got[:40]!r}")
        return client.session, bool(client.session_reused)


def main(port: int, seconds: float, kind: str) -> None:
    """See that it works, say so, wait for a line, and write how many there were."""
    made = context()
    session, _ = once(port, made, None)
    if kind == "resumed" and not once(port, made, session)[1]:
        raise ServerFailed("the server does not resume sessions")
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + seconds
    counts = [0] * THREADS

    def work(number: int) -> None:
        ticket = session if kind == "resumed" else None
        while time.monotonic() < until:
            found, _ = once(port, made, ticket)
            ticket = found if kind == "resumed" else None
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(counts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
