"""The thundering herd: who is woken, who has the work, who waits."""

from labs import herd
from labs.findings import Stage, Verdict


def test_a_shared_socket_wakes_everyone_and_a_dealt_one_makes_the_quick_wait(stage: Stage) -> None:
    found = herd.run(stage)
    figures = found.figures
    # Whom a connection wakes.
    assert figures["plain woken"] > 2 * figures["exclusive woken"]
    assert figures["plain woken"] > 2 * figures["reuse port woken"]
    # How the work is shared out.
    assert figures["exclusive busiest"] > figures["reuse port busiest"]
    # Who waits behind a slow one although others are idle.
    assert figures["reuse port late"] > figures["exclusive late"]
    (claim,) = found.claims
    assert claim.verdict is not Verdict.FAILS
    assert "herd" in found.plots
