"""As many clients as threads; and what a thread costs.

If one thread serves one client at a time, take more threads. The shortest pool there is: the loop of the last lab, in
`size` threads that all accept from the same socket. As many clients are served as there are threads, and the next one
waits for somebody to leave, whatever the others do: they may all be silent.

So why not a thread for each client? That works (`serve_each`), and is how servers were written for decades. The price:
each thread reserves a stack, and whenever it waits for its client the kernel takes it off the CPU and puts another one
on. Both are measured: address space reserved against memory really used, and context switches for each request; then
what one switch costs, between two threads that hand a byte to and fro.
"""

import socket
import threading

from benchmarks.summary import duration, figure
from labs import one_at_a_time
from labs.costs import Cost, cost, table
from labs.findings import Claim, Findings, Stage, verdict
from labs.measuring import amount, switch_seconds
from labs.one_at_a_time import KEY, Visit, lanes, visits
from labs.plotting import Axis, Line, Tone, lines, timeline
from labs.serving import serving

STACK = 8 * 1024 * 1024
"""Bytes that each thread's stack reserves: what Linux gives by default, and what the lecture counts with."""


def serve_pool(listener: socket.socket, size: str) -> None:
    """`size` threads, each of which serves one client at a time."""
    for _ in range(int(size) - 1):
        threading.Thread(target=one_at_a_time.serve, args=(listener,), daemon=True).start()
    one_at_a_time.serve(listener)


def serve_each(listener: socket.socket) -> None:
    """A thread for each client."""
    threading.stack_size(STACK)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=echo, args=(client,), daemon=True).start()


def echo(client: socket.socket) -> None:
    """Answer one client until it leaves."""
    with client:
        while asked := client.recv(65536):
            client.sendall(asked)


# --- what is measured


def run(stage: Stage) -> Findings:
    """A pool of three and four clients; then threads by the thousand."""
    with serving(serve_pool, 3) as server:
        made = visits(server.address, 4, stage.pick(0.5, 0.1))
    fourth, first_gone = made[-1], min(visit.left for visit in made[:-1])
    stage.say(
        f"three threads, four clients: one of the three left at {first_gone:.3f}, the fourth was answered at "
        f"{fourth.answered:.3f}"
    )
    costs = [_cost(stage, clients) for clients in stage.pick([10, 100, 1000, 5000], [100, 300])]
    switch = switch_seconds(stage.pick(20_000, 2_000))
    stage.say(f"from one thread to another: {duration(switch)}")
    most = costs[-1]
    share = most.switches * switch / most.cpu
    figures = {
        "fourth waited": fourth.answered - fourth.came,
        "others waited": max(visit.wait for visit in made[:-1]),
        "bounded": float(fourth.answered >= first_gone),
        "held": most.held,
        "threads": most.threads,
        "reserved, a further thread": _further(*costs[-2:]),
        "memory": most.memory,
        "switches": most.switches,
        "cpu": most.cpu,
        "switch": switch,
        "share": share,
    }
    return Findings(
        f"{most.held:,} clients took {most.threads:,} threads, which reserved {amount(most.reserved * most.held)} and "
        f"used {amount(most.memory * most.held)}; each request cost {most.switches:.1f} context switches.",
        [
            table(
                "A thread for each client: 50 of them ask, the others are silent",
                [("a thread each", found) for found in costs],
                "Reserved is address space (VmSize); memory is the process's own. Both as they grew with the clients.",
            )
        ],
        _plots(made, costs),
        [
            _bound(made),
            _stacks(*costs[-2:]),
            _switches(most, switch, share),
        ],
        figures,
    )


def _plots(made: list[Visit], costs: list[Cost]) -> dict[str, str]:
    return {
        "thread-pool": timeline(
            "A pool of three threads, and four clients",
            "Three are served at once. The fourth waits until one of them leaves, though none of them asks more.",
            lanes(made),
            key=KEY,
        ),
        "thread-pool-memory": lines(
            "What a thread reserves, and what it uses",
            "A thread for each client: address space and memory of the process, grown by its clients.",
            [
                Line("reserved", [(c.held, c.reserved * c.held / 2**20) for c in costs], Tone.WARM),
                Line("really used", [(c.held, c.memory * c.held / 2**20) for c in costs], Tone.OURS),
            ],
            Axis("clients, each with a thread", log=True),
            Axis("MiB", log=True),
        ),
    }


def _bound(made: list[Visit]) -> Claim:
    *others, fourth = made
    waited = max(visit.wait for visit in others)
    return Claim(
        "pool-bound",
        f"with 3 threads, 3 clients waited at most {duration(waited)}; the fourth "
        f"{duration(fourth.wait)}, until one had left",
        verdict(fourth.answered >= min(visit.left for visit in others) > max(visit.answered for visit in others)),
        "A thread belongs to its client until that leaves, also while the client is silent.",
    )


def _cost(stage: Stage, clients: int) -> Cost:
    found = cost(serve_each, clients=clients, seconds=stage.pick(3.0, 0.3), silence=0.1, patience=10.0)
    stage.say(found.phrase())
    return found


def _further(fewer: Cost, most: Cost) -> float:
    """Bytes that each further thread reserves; the first ones have a part in what the allocator reserves for all."""
    return (most.reserved * most.held - fewer.reserved * fewer.held) / (most.held - fewer.held)


def _stacks(fewer: Cost, most: Cost) -> Claim:
    reserved, used, further = most.reserved * most.held, most.memory * most.held, _further(fewer, most)
    return Claim(
        "stacks-40-gb",
        f"{most.held:,} threads reserved {reserved / 1e9:.1f} GB, {amount(further)} for each further one, and used "
        f"{used / 1e9:.2f} GB of memory, {amount(most.memory)} each",
        verdict(used > reserved / 2, partly=38e9 < further * 5000 < 46e9),
        "It is address space, not memory: the kernel hands out a page of a stack when it is first touched.",
    )


def _switches(most: Cost, switch: float, share: float) -> Claim:
    return Claim(
        "switches",
        f"{most.switches:.2f} switches a request with {most.held:,} threads; one costs about {duration(switch)}, which "
        f"makes {share:.0%} of the {duration(most.cpu)} of CPU that a request takes",
        verdict(most.switches > 0.9 and share > 0.1, partly=most.switches > 0.9 or share > 0.1),
        "A thread that waits leaves the CPU; in CPython it also hands over the interpreter's lock, which the cost of a "
        f"switch has in it. Of these switches {figure(most.forced)} a request were forced, the rest were waits.",
    )
