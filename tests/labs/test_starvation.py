"""Lab 10: a bound on what one event may read gives everybody a turn."""

import pytest

from labs import starvation
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return starvation.run(stage)


def test_without_a_bound_the_polite_client_waits_longer(findings: Findings) -> None:
    assert findings.figures["endless"] > findings.figures["bounded"]
    assert findings.figures["endless answers"] < findings.figures["bounded answers"]


def test_the_firehose_is_served_in_both_cases(findings: Findings) -> None:
    assert findings.figures["bounded rate"] > 0
    assert findings.figures["endless rate"] > 0
