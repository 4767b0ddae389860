"""The dark side: the thundering herd.

To use several CPUs, several processes wait for connections at one port, each with an epoll of its own. When one
connection comes, whom does the kernel wake? That depends on how they share the port:

- *plain*: one listening socket, handed down to all. Everyone is woken; one gets the connection. The others either find
  nothing (EAGAIN), or epoll itself looks again before it returns, finds nothing and puts them back to sleep, and the
  program never knows: that shows only as a context switch. So both are counted.
- *exclusive*: the same with EPOLLEXCLUSIVE: one is woken. But it is the first in the kernel's list, again and again,
  as long as it is asleep when the next connection comes: one process has most of the work.
- *reuse port*: a listening socket each, with SO_REUSEPORT; the kernel deals connections out by a hash of their
  addresses. Nobody is woken in vain, and everyone gets a like share. But a connection that has been dealt to a process
  that is busy waits for it, though all the others may be idle.

Two loads show it. In the *calm* one the next connection comes when everyone has been seen asleep again: whom does each
wake? In the *uneven* one they come at a fixed rate, whether or not the last has been answered, and one in forty takes
forty times as long as the pause between two: how many of the quick ones have to wait behind a slow one?
"""

import contextlib
import select
import socket
import time
from collections.abc import Mapping, Sequence

from benchmarks.report import Table
from benchmarks.summary import duration
from labs.findings import Claim, Findings, Stage, verdict
from labs.herding import EXCLUSIVE, PAUSE, PLAIN, REUSE, SLOW, WAYS, Herd, behind, come_calmly, come_unevenly
from labs.measuring import percentile
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import counted


def serve(listener: socket.socket, way: str, name: str) -> None:
    """Accept, answer with our name, close; count how often there was nothing to accept."""
    listener.setblocking(False)
    # A connection is reported when its first byte has come: reading that byte is no wait of its own then.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    with select.epoll() as poller:
        poller.register(listener, select.EPOLLIN | (select.EPOLLEXCLUSIVE if way == EXCLUSIVE else 0))
        while True:
            poller.poll()
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                counted["wasted"] += 1
                continue
            with client:
                asked = client.recv(1)
                if asked == b"s":
                    time.sleep(SLOW * PAUSE)
                client.send(b"%s %s" % (asked, name.encode()))


def run(stage: Stage) -> Findings:
    """Measure the three ways: the calm load on herds that grow, the uneven one on the largest."""
    sizes, count = stage.pick(((2, 4, 8), 600), ((4,), 200))
    size = sizes[-1]
    table = Table(
        f"{size} processes at one port",
        ("shared", "woken", "in vain", "busiest", "p50", "p99", "behind a slow one"),
        note="One connection at a time: how many processes it has woken, with those that epoll put to sleep again by "
        "itself; how often a process found nothing to accept; the share of the busiest. Then, with one slow one in "
        f"{SLOW} ({duration(SLOW * PAUSE)}): latencies of the quick ones, and how many came to a process that was busy "
        "with a slow one.",
    )
    figures: dict[str, float] = {"processes": size}
    woken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for way in WAYS:
        for herd in sizes:
            stage.say(f"{herd} processes, {way}")
            with contextlib.ExitStack() as stack:
                members = Herd(stack, serve, way, herd)
                members.rest()
                before = members.sleeps()
                taken = come_calmly(members, count)
                woken[way].append((herd, (members.sleeps() - before) / count))
                uneven = come_unevenly(members.address, count) if herd == size else []
                wasted = members.wasted() / (2 * count)
        seconds = [one.answered - one.came for one in uneven if not one.slow]
        half, most = percentile(seconds, 0.5), percentile(seconds, 0.99)
        _, last = woken[way][-1]
        busiest = max(taken.values()) / count
        late = behind(uneven)
        cells = (f"{last:.2f}", f"{wasted:.2f}", f"{busiest:.0%}", duration(half), duration(most), f"{late:.1%}")
        table.rows.append((way, *cells))
        figures |= {f"{way} woken": last, f"{way} wasted": wasted, f"{way} busiest": busiest}
        figures |= {f"{way} p99": most, f"{way} late": late}
    shared = max(figures["plain late"], figures["exclusive late"])
    return Findings(
        shows=f"Of {size} processes at one port, a connection wakes {figures['plain woken']:.1f}; with EPOLLEXCLUSIVE "
        f"{figures['exclusive woken']:.1f}, and the busiest takes {figures['exclusive busiest']:.0%} of all; with "
        f"SO_REUSEPORT {figures['reuse port woken']:.1f} and {figures['reuse port busiest']:.0%}, but then "
        f"{figures['reuse port late']:.0%} of the quick ones wait behind a slow one ({shared:.1%} on a shared socket).",
        tables=(table,),
        plots={"herd": draw(woken)},
        claims=(judge(figures),),
        figures=figures,
    )


def draw(woken: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Who is woken, by how many there are."""
    tones = {PLAIN: Tone.WARM, EXCLUSIVE: Tone.OURS, REUSE: Tone.FOURTH}
    return lines(
        "Whom a single connection wakes",
        "processes that were put to sleep again, for each connection; only one of them can have it",
        [Line(way, woken[way], tones[way]) for way in WAYS],
        Axis("processes that wait at the port"),
        Axis("woken for a connection"),
    )


def judge(figures: dict[str, float]) -> Claim:
    """Everyone, for one connection?"""
    woken, size, one = figures["plain woken"], figures["processes"], figures["exclusive woken"]
    return Claim(
        "herd",
        f"{woken:.1f} of {size:.0f} processes were woken for a connection; {one:.1f} with EPOLLEXCLUSIVE",
        verdict(woken >= 0.75 * size, partly=woken > 1.5 * one),
        "each epoll stands in the socket's list of those to be woken; the program noticed "
        f"{figures['plain wasted']:.2f} times a connection (EAGAIN), else epoll_wait itself looked again and slept on, "
        "for a context switch each",
    )
