"""The e-mail server as machines: the states of one request, and many that wait at once."""

from clerestory.statemachines.connection import State as S
from labs import machine_state
from labs.findings import Findings, Stage, Verdict


def walked(findings: Findings, machine: str) -> list[str]:
    """The states that the passages of a machine lead to."""
    return [row[3] for row in findings.tables[0].rows if row[1].startswith(machine)]


def test_a_request_goes_through_the_three_states_and_many_wait_in_one_thread(stage: Stage, said: list[str]) -> None:
    found = machine_state.run(stage)
    assert walked(found, "connection") == [
        S.READING_HEAD,
        S.QUERYING_BACKEND,
        S.QUERYING_BACKEND,
        S.SENDING_RESPONSE,
        S.AWAITING_REQUEST,
        S.CLOSED,
    ]
    assert walked(found, "store") == ["AWAITING_EMAIL", "CLOSED"]
    assert said[0] == "the answer: Hello! You have found message 7. The others are good, too."
    assert "machine-state" in found.plots
    figures = found.figures
    assert figures["right"] == figures["asked"]
    assert figures["threads"] == 1
    assert figures["waited"] > figures["asked"] / 2
    (claim,) = found.claims
    assert claim.verdict is Verdict.HOLDS


def test_what_a_stack_would_remember_is_told_from_the_live_machine(stage: Stage) -> None:
    _, remembered = machine_state.walk_through(stage)
    told = {row[0]: row[3] for row in remembered.rows}
    assert told["where it is"] == "QUERYING_BACKEND"
    assert told["what was asked"] == "GET /emails/7"
    assert told["whom it waits for"].startswith("store AWAITING_EMAIL <- fd ")
    assert told["how it came here"] == "HEAD_STARTED HEAD_RECEIVED"
