"""Two machines that talk to each other: the path of each, and where both are at the same time."""

from clerestory.handlers.api.operations import Operation
from labs import client_machine
from labs.findings import Findings, Stage


def told(findings: Findings, column: int) -> list[str]:
    """What one end's column of the first table says, from top to bottom."""
    return [row[column].partition(" -> ")[2] for row in findings.tables[0].rows if row[column]]


def test_each_end_goes_through_its_states_twice_on_one_connection(stage: Stage) -> None:
    found = client_machine.run(stage)
    once = ["SENDING_REQUEST", "AWAITING_RESPONSE", "IDLE"]
    assert told(found, 1) == [*once, *once, "CLOSED"]
    once = ["QUERYING_BACKEND", "QUERYING_BACKEND", "SENDING_RESPONSE", "AWAITING_REQUEST"]
    assert told(found, 2)[:8] == once + once
    figures = found.figures
    assert figures["answers"] == 2
    assert figures["connections"] == 1
    # While the server asks its store, its client waits for it: most of the time, as the store is slow.
    assert figures["AWAITING_RESPONSE QUERYING_BACKEND"] == max(
        seconds for pair, seconds in figures.items() if "_" in pair and pair != "IDLE AWAITING_REQUEST"
    )
    # Neither end is ever ahead of what the other has sent.
    assert "IDLE QUERYING_BACKEND" not in figures
    assert "CONNECTING QUERYING_BACKEND" not in figures
    assert "client-machine" in found.plots


def test_a_walk_shows_both_automata_beside_each_other() -> None:
    pages: list[str] = []

    def key(page: str) -> str:
        pages.append(page)
        return " "

    client_machine.converse(Stage(lambda _: None, quick=True, step=True, key=key), (7,))
    both = [page for page in pages if "upstream, fd" in page and "connection, fd" in page]
    assert len(both) >= 5
    assert any("CONNECTING" in line and "reading request:" in line for line in both[0].splitlines())
    assert all("[AWAITING_RESPONSE]" in page for page in both if "[QUERYING_BACKEND]" in page)


def test_an_error_is_thrown_into_the_coroutine_and_comes_out_of_it() -> None:
    class Refused(Exception):
        pass

    class Refusing(Operation):
        def start(self, executor: object) -> None:
            caller.append(executor)

        def cancel(self) -> None:
            raise AssertionError

        def describe(self) -> str:
            raise AssertionError

    async def program() -> bytes:
        try:
            await Refusing()
        except Refused:
            return b"refused"
        return b""

    caller: list[object] = []
    running = client_machine.Caller(None, program())  # type: ignore[arg-type]
    assert caller == [running]
    running.finished(Refusing(), error=Refused())
    assert running.answer == b"refused"
