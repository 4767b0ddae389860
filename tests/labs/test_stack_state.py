"""Lab 7: where a connection is, stands in its thread's stack."""

import pytest

from labs import stack_state
from labs.findings import Findings, Stage


@pytest.fixture(scope="module")
def findings(stage: Stage) -> Findings:
    return stack_state.run(stage)


def test_three_threads_stand_in_three_places(findings: Findings) -> None:
    assert findings.figures["places"] == 3
    rows = {row[0]: row[1:] for row in findings.tables[0].rows}
    assert rows["reading request"][1].startswith("while heard := client.recv(")
    assert rows["querying backend"][0] == "email = get_email(request)"
    assert rows["sending response"][0] == "client.sendall(email)"


def test_the_stack_remembers_what_each_is_in_the_middle_of(findings: Findings) -> None:
    remembered = {row[0]: row[3] for row in findings.tables[0].rows}
    assert "unread = b'1'" in remembered["reading request"]
    assert "request = b'42'" in remembered["querying backend"]
    assert "bytes" in remembered["sending response"]


def test_all_are_served_from_where_they_stopped(findings: Findings) -> None:
    assert findings.figures["served in order"]
