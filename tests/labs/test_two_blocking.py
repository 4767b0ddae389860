"""Lab 3: data of the second is not seen while the first is silent."""

import pytest

from labs import two_blocking
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return two_blocking.run(stage)


def test_the_second_is_not_answered_before_the_first_has_spoken(findings: Findings) -> None:
    figures = findings.figures
    assert figures["asked"] < figures["first spoke"] < figures["answered"]


def test_a_thread_that_waits_costs_nothing(findings: Findings) -> None:
    assert findings.figures["idle"] < 0.5
