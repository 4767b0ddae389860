"""EAGAIN: one thread hears both, and burns a whole CPU doing so.

A descriptor can be told not to wait. Then `recv` has a third answer beside data and the end: EAGAIN, "nothing now, ask
again" (BlockingIOError in Python). So one thread can look at one client, and at the other, and at the first again, and
whoever says something is heard at once. This is the whole secret of serving many with one thread.

Only: nothing in this loop ever waits. It asks the kernel hundreds of thousands of times a second, and is told each
time that there is nothing. The process shows as 100 % busy, and has done no work.
"""

import socket

from benchmarks.summary import duration, figure
from labs.findings import Claim, Findings, Stage, verdict
from labs.serving import counted
from labs.two_clients import listen_to_two, picture, table


def serve(listener: socket.socket) -> None:
    """Two clients, whoever has something to say."""
    clients = [listener.accept()[0], listener.accept()[0]]
    for client in clients:
        client.setblocking(False)
    while True:
        for client in clients:
            try:
                asked = client.recv(65536)
            except BlockingIOError:
                counted["EAGAIN"] += 1
                continue
            if not asked:
                return
            client.sendall(asked)


def run(stage: Stage) -> Findings:
    """The same two clients as before."""
    heard = listen_to_two(serve, silence=stage.pick(1.0, 0.2), patience=20)
    idle = min(heard.silent.wanted, 1.0)
    refusals = heard.counted["EAGAIN"] / heard.seconds
    stage.say(f"the second waited {duration(heard.longest)} at most")
    stage.say(f"while both were silent: {idle:.0%} of a CPU, EAGAIN {figure(refusals)} times a second")
    return Findings(
        f"Both were heard at once ({duration(heard.longest)} at most), for {idle:.0%} of a CPU while nobody said "
        f"anything: {figure(refusals)} reads a second that found nothing.",
        [table("Two clients, one thread, non-blocking reads", {"non-blocking, without a wait": heard})],
        {
            "two-polling": picture(
                "One thread that never waits",
                f"Everything is heard at once. The price cannot be seen here: {idle:.0%} of a CPU, all the time.",
                heard,
            )
        },
        [
            Claim(
                "eagain",
                f"EAGAIN {heard.counted['EAGAIN']:,} times in {heard.seconds:.1f} s; with the first silent the second "
                f"was answered within {duration(heard.longest)}",
                verdict(heard.counted["EAGAIN"] > 0 and heard.at_once),
                'A read that can say "nothing now" leaves the thread free to look elsewhere.',
            ),
            Claim(
                "busy-polling",
                f"it wanted {idle:.0%} of a CPU, and had {heard.silent.load:.0%}, with two silent clients",
                verdict(idle > 0.9, partly=idle > 0.5),
                "The loop asks and is refused, and asks again: nothing in it ever sleeps.",
            ),
        ],
        {
            "idle": idle,
            "EAGAIN": heard.counted["EAGAIN"],
            "at once": heard.at_once,
        },
    )
