"""What is written beside a figure about the machine, and where processes run."""

import os
import sys

from benchmarks import machine


def test_the_particulars_name_the_machine_the_date_and_the_run() -> None:
    found = machine.particulars({"Libraries": "h11 1", "Peers": ""}, quick=True)
    assert {"Date", "CPU", "Memory", "System", "Python", "Revision", "Libraries", "Run"} <= set(found)
    assert "Peers" not in found
    assert "not to be quoted" in found["Beware, too"]
    assert "Beware, too" not in machine.particulars({}, quick=False)


def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with machine.pinned(machine.LOAD_CPU):
        assert os.sched_getaffinity(0) == {machine.LOAD_CPU}
    assert os.sched_getaffinity(0) == before


def test_the_cpu_has_a_name() -> None:
    assert machine.cpu_model()


def test_versions_are_of_what_is_installed() -> None:
    found = machine.library_versions("h11", "surely-not-installed")
    assert list(found) == ["h11"]


def test_a_tool_that_is_not_there_is_none() -> None:
    assert machine.tool("surely-not-installed") is None
    assert machine.tool(sys.executable) == sys.executable


def test_tools_tell_their_versions() -> None:
    assert all(version[0].isdigit() for version in machine.tool_versions().values())
