"""Every walk of a test is held against what the table declares."""

import os
import subprocess
import sys

import pytest

from clerestory.statemachines import wakeup, work
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.work import Trigger as T
from tests.support.held import SEEN, SITE, Undeclared


class Shell(Machine):
    """A shell whose `withdraw` hands back what it is told to."""

    handed: Name | None = None

    def withdraw(self) -> Name | None:
        return self.handed

    def refuse(self) -> Name | None:
        return None


def made() -> Shell:
    return Shell(Engine(work.TABLE, Shell, lambda: 0.0), -1)


def test_what_is_declared_is_handed_back_and_noted() -> None:
    shell = made()
    shell.handed = T.WITHDRAWN
    shell.engine.fire(shell, T.CALLER_LEFT)
    assert shell.state == "DONE"
    assert ("work", "ABANDONED", "withdraw", "WITHDRAWN") in SEEN


def test_what_is_not_declared_is_refused_although_there_is_a_row_for_it() -> None:
    shell = made()
    shell.handed = T.WORK_ENDED
    with pytest.raises(Undeclared, match="work: withdraw handed back WORK_ENDED in ABANDONED"):
        shell.engine.fire(shell, T.CALLER_LEFT)


def test_nothing_is_always_allowed() -> None:
    shell = made()
    shell.engine.fire(shell, T.CALLER_LEFT)
    assert shell.state == "ABANDONED"


def test_what_is_seen_when_ready_is_held_as_well() -> None:
    class Ear(Machine):
        def run_callbacks(self, ready: int) -> Name | None:
            return wakeup.Trigger.CLOSE_ORDERED

    ear = Ear(Engine(wakeup.TABLE, Ear, lambda: 0.0), 3)
    with pytest.raises(Undeclared, match="wakeup: run_callbacks handed back CLOSE_ORDERED in WATCHING"):
        ear.node.when_ready(ear, 1)


def test_a_server_that_a_test_starts_holds_its_own_walks() -> None:
    program = "from clerestory.statemachines.engine import Engine; print(Engine.__init__.__module__)"
    environment = os.environ | {"PYTHONPATH": str(SITE)}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "held\n"
