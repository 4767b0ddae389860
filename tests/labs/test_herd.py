"""The thundering herd: who is woken, who has the work, who waits."""

from labs import herd
from labs.findings import Stage, Verdict
from labs.herding import Arrival, behind


def test_a_shared_socket_wakes_everyone_and_a_dealt_one_makes_the_quick_wait(stage: Stage) -> None:
    found = herd.run(stage)
    figures = found.figures
    # Whom a connection wakes.
    assert figures["plain woken"] > 2 * figures["exclusive woken"]
    assert figures["plain woken"] > 2 * figures["reuse port woken"]
    # How the work is shared out.
    assert figures["exclusive busiest"] > figures["reuse port busiest"]
    # Who waits behind a slow one although others are idle. On a machine that is busy with other things a process that
    # has been woken may come too late for one of the two that share a socket.
    assert figures["reuse port late"] > min(figures["exclusive late"], figures["plain late"])
    (claim,) = found.claims
    assert claim.verdict is not Verdict.FAILS
    assert "herd" in found.plots


def test_behind_a_slow_one_is_who_came_to_its_member_while_it_was_busy_and_was_answered_after_it() -> None:
    slow = Arrival(True, b"1", 1.0, 2.0)
    waited, elsewhere = Arrival(False, b"1", 1.5, 2.1), Arrival(False, b"2", 1.5, 2.1)
    before, later = Arrival(False, b"1", 0.5, 0.6), Arrival(False, b"1", 2.5, 2.6)
    assert behind([slow, waited, elsewhere, before, later]) == 0.25
