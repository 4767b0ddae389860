"""The definition of every machine for XState is run by XState itself (npm install -g xstate@5), and walks the same
states, does the same actions, and lets the same deadlines pass. Where XState is not installed, that is not tested."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clerestory.diagrams.xstate import to_xstate
from clerestory.statemachines.contract import Deadline, Table
from clerestory.statemachines.tables import TABLES
from tests.diagrams.walks import walks_of

STEPS = 300
PROGRAM = Path(__file__).with_name("xstate_walk.cjs")


def _environment() -> dict[str, str]:
    """Where node finds what npm has installed for all."""
    environment = dict(os.environ)
    if (npm := shutil.which("npm")) is not None:
        found = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
        environment["NODE_PATH"] = os.pathsep.join(filter(None, [environment.get("NODE_PATH", ""), found]))
    return environment


def _run(asked: list[dict[str, Any]]) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    environment = _environment()
    if subprocess.run([node, "-e", "require('xstate')"], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("XState is not installed: npm install -g xstate@5")
    done = subprocess.run(
        [node, str(PROGRAM)], env=environment, input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_xstate_walks_the_same_states() -> None:
    walks = {name: walks_of(table, STEPS) for name, table in TABLES.items()}
    asked = [
        {"definition": json.loads(to_xstate(TABLES[name])), "walks": [[s._asdict() for s in walk] for walk in walked]}
        for name, walked in walks.items()
    ]
    answers = _run(asked)
    assert len(answers) == len(TABLES)
    for (name, walked), answer in zip(walks.items(), answers, strict=True):
        expected = [[[str(step.state), step.action] for step in walk] for walk in walked]
        assert answer == expected, name


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_what_a_state_waits_for_and_until_when_is_in_its_meta(table: Table) -> None:
    definition = json.loads(to_xstate(table))
    assert list(definition["states"]) == [state.name for state in table.states]
    rows = 0
    for spec in table.specs:
        state = definition["states"][spec.state]
        assert state["description"] == spec.true_while
        if spec.final:
            assert state["type"] == "final"
            continue
        assert state["meta"]["waitsFor"] == spec.phrase()
        if isinstance(spec.deadline, Deadline):
            assert list(state["after"]) == [str(round(spec.deadline.seconds * 1000))]
            assert state["meta"]["deadline"]["option"] == spec.deadline.option
        else:
            assert "after" not in state
        rows += sum(map(len, [*state.get("on", {}).values(), *state.get("after", {}).values()]))
    assert rows == len(table.rows)
