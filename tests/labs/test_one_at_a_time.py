"""Lab 1: the second client waits for the first to leave."""

import pytest

from labs import one_at_a_time
from labs.findings import Findings, Stage, Verdict


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return one_at_a_time.run(stage)


def test_nobody_is_answered_before_the_one_before_has_left(findings: Findings) -> None:
    assert findings.figures["serial"]
    assert findings.claims[0].verdict is Verdict.HOLDS


def test_each_waits_longer_than_the_one_before(findings: Findings) -> None:
    figures = findings.figures
    assert figures["first"] < figures["second"] < figures["third"]


def test_the_time_stamps_are_said_and_shown(findings: Findings, said: list[str]) -> None:
    assert [line.partition(":")[0] for line in said] == ["client 1", "client 2", "client 3"]
    assert len(findings.tables[0].rows) == 3
    assert "client 3" in findings.plots["one-at-a-time"]
