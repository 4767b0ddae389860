"""What it is not for: a handler that computes.

An event loop is fast because it never waits for anyone. A handler that computes does not wait either: it is busy, and
as long as it is, the loop cannot turn. Everybody else stands still. Non-blocking sockets are of no help: there is
nothing to be waited for.

So a computation has to go somewhere else, and it matters where. In a *thread* it shares the interpreter with the loop:
CPython lets one of them run at a time, and one that wants to run asks for it after the switch interval (5 ms). Whenever
the loop wakes up, it waits that long. In a *process* it has an interpreter of its own, and a CPU, if there is another.

A polite client asks for something small on a fixed schedule, and its latency counts from when the request was due,
whether or not it could be sent by then. Meanwhile another client asks for computations. What counts is how long those
requests took that were due while somebody computed.
"""

import socket
import subprocess
import sys

from benchmarks.processes import ROOT
from benchmarks.report import Table
from benchmarks.summary import duration
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends.threads.threads import in_thread
from clerestory.handlers.router import Router
from labs.burning import burn, rounds_in
from labs.findings import Claim, Findings, Stage, verdict
from labs.hosting import host
from labs.meanwhile import LOOP, NOBODY, PAUSE, PROCESS, REST, THREAD, WAYS, Meanwhile, meanwhile, together
from labs.measuring import percentile
from labs.plotting import Lane, Span, Tone, timeline
from labs.serving import serving


def burn_apart(rounds: int) -> float:
    """Compute in a process of its own; the seconds that the computation took there."""
    command = [sys.executable, "-m", "labs.burning", str(rounds)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def computing() -> Router:
    """The application."""
    router = Router()

    @router.get("/small")
    def small(request: Request) -> Response:  # noqa: ARG001
        return Response(b"hello\n")

    @router.get("/loop/{rounds:int}")
    def on_the_loop(request: Request, rounds: int) -> Response:  # noqa: ARG001
        return Response(b"%f\n" % burn(rounds))

    @router.get("/thread/{rounds:int}")
    async def in_a_thread(request: Request, rounds: int) -> Response:  # noqa: ARG001
        return Response(b"%f\n" % await in_thread(burn, rounds))

    @router.get("/process/{rounds:int}")
    async def in_a_process(request: Request, rounds: int) -> Response:  # noqa: ARG001
        return Response(b"%f\n" % await in_thread(burn_apart, rounds))  # the thread only waits for it

    return router


def serve(listener: socket.socket) -> None:
    """Our server, with that application."""
    host(listener, computing()).loop.run()


def run(stage: Stage) -> Findings:
    """Measure the four ways."""
    seconds, times = stage.pick((0.3, 8), (0.15, 3))
    rounds = rounds_in(seconds)
    found, pairs = {}, {}
    with serving(serve, cpu=None) as server:
        for way in WAYS:
            found[way] = meanwhile(server.address, way, rounds, times)
            stage.say(f"{way}: others waited {duration(percentile(found[way].latencies, 0.5))}, up to "
                      f"{duration(max(found[way].latencies))}")  # fmt: skip
            if way != NOBODY:
                pairs[way] = together(server.address, way, rounds)
    table = Table(
        f"A small request every {duration(PAUSE)} while another client lets the server compute",
        ("who computes, and where", "p50", "p99", "worst", "a computation took", "two at once took"),
        note=f"The switch interval of this interpreter is {duration(sys.getswitchinterval())}. Starting a process is "
        "part of the last column, not of the one before it.",
    )
    figures: dict[str, float] = {"switch interval": sys.getswitchinterval()}
    for way, one in found.items():
        half, most, worst = percentile(one.latencies, 0.5), percentile(one.latencies, 0.99), max(one.latencies)
        took = sum(one.took) / len(one.took) if one.took else 0.0
        last = (duration(took), duration(pairs[way])) if took else ("-", "-")
        table.rows.append((way, duration(half), duration(most), duration(worst), *last))
        figures |= {f"{way} median": half, f"{way} worst": worst, f"{way} took": took}
        figures |= {f"{way} share": half / took} if took else {}
    waited = {way: duration(figures[f"{way} median"]) for way in WAYS}
    return Findings(
        shows=f"While a handler computed on the loop, others waited {waited[LOOP]}, up to "
        f"{duration(figures[f'{LOOP} worst'])}; in a thread {waited[THREAD]}, in a process {waited[PROCESS]}, and "
        f"{waited[NOBODY]} when nobody did.",
        tables=(table,),
        plots={"cpu-bound": draw(found)},
        claims=(judge(figures),),
        figures=figures,
    )


def judge(figures: dict[str, float]) -> Claim:
    """Does it help?"""
    worst, took = figures["on the loop worst"], figures["on the loop took"]
    return Claim(
        "cpu-bound",
        f"a computation of {duration(took)} on the loop made others wait up to {duration(worst)}; in a thread "
        f"{duration(figures['in a thread median'])} (median), in a process {duration(figures['in a process median'])}",
        verdict(worst > 0.5 * took and figures["on the loop share"] > figures["in a process share"]),
        "a loop turns only when nobody computes on it; a thread shares the interpreter, and hands it over when asked, "
        f"after {duration(figures['switch interval'])}; a process has its own, and computes no faster for all that",
    )


def draw(found: dict[str, Meanwhile]) -> str:
    """When the small requests were answered, and when was computed: of each way the first computation."""
    before = {way: one.computed[0][0] if one.computed else REST for way, one in found.items()}
    lasts = REST + max(ended - begun for one in found.values() for begun, ended in one.computed[:1])
    lanes = []
    for way, one in found.items():
        spans = [Span(REST / 2, REST / 2 + ended - begun, Tone.QUIET, "computing") for begun, ended in one.computed[:1]]
        shifted = [answered - before[way] + REST / 2 for _, answered in one.asked]
        lanes.append(Lane(way, spans, [(at, Tone.OURS) for at in shifted if 0 <= at <= lasts]))
    return timeline(
        "Where to compute",
        f"a small request every {duration(PAUSE)}, and somebody who lets the server compute; each mark is an answer",
        lanes,
    )
