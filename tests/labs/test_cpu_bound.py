"""A handler that computes: who waits for it, on the loop, in a thread, in a process."""

from labs import burning, cpu_bound
from labs.findings import Stage, Verdict


def test_who_computes_on_the_loop_holds_everyone_up_and_in_a_process_nobody(stage: Stage) -> None:
    found = cpu_bound.run(stage)
    figures = found.figures
    # On the loop: what is due at its beginning waits for its end.
    assert figures["on the loop worst"] > 0.5 * figures["on the loop took"]
    # In a process: whatever the wait, it is not for the computation.
    assert figures["on the loop share"] > figures["in a process share"]
    # In a thread: whenever the loop wakes up, it has to ask for the interpreter.
    assert figures["in a thread median"] > figures["switch interval"]
    (claim,) = found.claims
    assert claim.verdict is Verdict.HOLDS
    assert "cpu-bound" in found.plots


def test_a_process_of_its_own_computes_the_same() -> None:
    assert burning.burn(10) > 0
    assert cpu_bound.burn_apart(10) > 0
