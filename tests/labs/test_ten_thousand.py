"""Many clients in one thread: who holds them, and what each of them costs. Ten thousand are the report's."""

from labs import ten_thousand
from labs.findings import Stage, Verdict


def test_one_thread_holds_every_client_for_less_than_a_stack(stage: Stage) -> None:
    found = ten_thousand.run(stage)
    figures = found.figures
    clients = figures["machines held"]
    for name in ten_thousand.SERVERS:
        assert figures[f"{name} held"] == clients
        assert figures[f"{name} threads"] == (clients + 1 if name == ten_thousand.THREADS else 1)
    # A thread's memory, and its switch at each request; a machine has neither.
    for name in set(ten_thousand.SERVERS) - {ten_thousand.THREADS}:
        assert figures[f"{name} memory"] < figures[f"{ten_thousand.THREADS} memory"]
        assert figures[f"{name} switches"] < figures[f"{ten_thousand.THREADS} switches"]
    assert figures["machines memory"] < figures["asyncio, coroutines memory"]
    (claim,) = found.claims
    assert claim.verdict is Verdict.PARTLY  # fewer than ten thousand came
    assert set(found.plots) == {"ten-thousand-memory", "ten-thousand-cpu"}
