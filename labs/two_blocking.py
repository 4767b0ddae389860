"""Two connections, one thread, blocking reads: what the second says is not seen while the first is silent.

Threads cost, so one thread is to serve two clients. The obvious program reads from the first, then from the second,
then from the first again. It works as long as they take turns. A blocking read, though, is a promise to do nothing
else: the thread has gone to sleep on one descriptor, and that the other one has data makes no difference to it.

The first client is silent for a while; the second begins to talk. Watch when it is heard.
"""

import socket

from benchmarks.summary import duration
from labs.findings import Findings, Stage
from labs.two_clients import listen_to_two, picture, table


def serve(listener: socket.socket) -> None:
    """Two clients, in turn."""
    first, _ = listener.accept()
    second, _ = listener.accept()
    while True:
        for client in (first, second):
            asked = client.recv(65536)  # whatever the other one has to say: wait for this one
            if not asked:
                return
            client.sendall(asked)


def run(stage: Stage) -> Findings:
    """The second talks, the first does not."""
    heard = listen_to_two(serve, silence=stage.pick(1.0, 0.1), patience=stage.pick(1.0, 0.2))
    asked, answered = heard.second[0]
    spoke = heard.first[0][0]
    stage.say(f"the second asked at {asked:.3f} s, the first broke its silence at {spoke:.3f} s")
    stage.say(f"the second was answered at {answered:.3f} s")
    return Findings(
        f"The second client asked at once and was answered after {duration(answered - asked)}, when the first had at "
        f"last said something, at {spoke:.2f} s.",
        [table("Two clients, one thread, blocking reads", {"blocking": heard})],
        {
            "two-blocking": picture(
                "One thread that reads in turn",
                "The first client says nothing for a while. The second has asked: its data is there, and nobody looks.",
                heard,
            )
        },
        figures={"asked": asked, "answered": answered, "first spoke": spoke, "idle": heard.silent.wanted},
    )
