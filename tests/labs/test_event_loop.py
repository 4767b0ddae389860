"""Lab 6: any number of clients, and other descriptors, in one thread."""

import pytest

from labs import event_loop
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return event_loop.run(stage)


def test_every_client_is_held_by_one_thread(findings: Findings) -> None:
    assert findings.figures["held"] == 300
    assert findings.figures["threads"] == 1


def test_it_switches_less_and_takes_less_memory_than_a_thread_each(findings: Findings) -> None:
    figures = findings.figures
    assert figures["switches"] < figures["switches, threads"]
    assert figures["memory"] < figures["memory, threads"] / 4


def test_files_and_directories_are_what_does_not_fit(findings: Findings) -> None:
    assert findings.figures["refused"] == 2
    claim = next(claim for claim in findings.claims if claim.key == "any-descriptor")
    assert "a regular file" in claim.measured
