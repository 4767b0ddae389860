"""Lab 4: EAGAIN lets one thread hear both, at the price of a CPU."""

import pytest

from labs import two_polling
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return two_polling.run(stage)


def test_the_second_has_all_its_answers_before_the_first_has_spoken(findings: Findings) -> None:
    assert findings.figures["at once"]


def test_most_reads_find_nothing(findings: Findings) -> None:
    assert findings.figures["EAGAIN"] > 100


def test_it_wants_a_cpu_while_nobody_says_anything(findings: Findings) -> None:
    assert findings.figures["idle"] > 0.5
