"""The floor: a bare epoll loop in Python that answers `/constant` without looking at what it was sent.

What any server in Python, written like this, cannot go below: one share of an epoll wait, one recv, one send, and the
answer's encoding. It takes each read for one request, so it is no server; it is here to be compared with.
Run: `python -m benchmarks.floor PORT [MICROSECONDS]`.

With MICROSECONDS it computes so long for each request. The bare loop is as fast as the load, which then never sleeps;
any real server is slower, the load falls asleep between two answers, and waking it is part of each send. What the
delayed loop costs beyond its delay is the floor for such a server.
"""

import select
import socket
import sys
import time

from benchmarks.work import constant

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
LAST = HEAD[:-2] + b"connection: close\r\n\r\n"


def serve(listener: socket.socket, delay: float) -> None:
    """Answer until the process is ended."""
    clock = time.perf_counter
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    entrance = listener.fileno()
    clients: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ready in poller.poll():
            if descriptor == entrance:
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)
                continue
            client = clients[descriptor]
            try:
                asked = client.recv(65536)
                if asked:
                    body = constant()
                    if delay:
                        until = clock() + delay
                        while clock() < until:
                            pass
                    if not asked.endswith(b"close\r\n\r\n"):
                        client.send(HEAD % len(body) + body)
                        continue
                    client.send(LAST % len(body) + body)
            except ConnectionError:
                pass
            poller.unregister(client)
            clients.pop(descriptor).close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as entrance:
        serve(entrance, float(sys.argv[2]) / 1e6 if len(sys.argv) > 2 else 0.0)
