"""Lab 5: everything at once, asleep meanwhile; and what both kinds of trigger cost."""

import pytest

from labs import two_epoll
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return two_epoll.run(stage)


def test_the_second_has_all_its_answers_before_the_first_has_spoken(findings: Findings) -> None:
    assert findings.figures["at once"]


def test_it_sleeps_while_nobody_says_anything(findings: Findings) -> None:
    assert findings.figures["idle"] < 0.1


def test_an_edge_costs_the_read_that_finds_nothing(findings: Findings) -> None:
    assert findings.figures["level, reads"] == pytest.approx(1, abs=0.5)
    assert findings.figures["edge, reads"] > findings.figures["level, reads"] + 0.5


def test_the_level_is_told_again_for_every_piece_of_a_long_message(findings: Findings) -> None:
    assert findings.figures["level, waits for a long one"] > findings.figures["edge, waits for a long one"]
