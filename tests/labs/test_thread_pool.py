"""Lab 2: as many clients as threads, and what a thread costs."""

import pytest

from labs import thread_pool
from labs.findings import Findings, Stage, Verdict


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return thread_pool.run(stage)


def verdict_on(findings: Findings, key: str) -> Verdict:
    return next(claim.verdict for claim in findings.claims if claim.key == key)


def test_who_finds_all_threads_taken_waits_until_somebody_leaves(findings: Findings) -> None:
    assert findings.figures["bounded"]
    assert findings.figures["fourth waited"] > findings.figures["others waited"]


def test_there_is_a_thread_for_each_client_and_one_that_accepts(findings: Findings) -> None:
    assert findings.figures["threads"] == findings.figures["held"] + 1


def test_a_thread_reserves_a_stack_of_which_it_uses_little(findings: Findings) -> None:
    reserved = findings.figures["reserved, a further thread"]
    assert thread_pool.STACK <= reserved < 2 * thread_pool.STACK
    assert findings.figures["memory"] < reserved / 50
    assert verdict_on(findings, "stacks-40-gb") is Verdict.PARTLY


def test_a_request_costs_a_context_switch(findings: Findings) -> None:
    assert findings.figures["switches"] > 0.5
    assert findings.figures["switch"] > 0
