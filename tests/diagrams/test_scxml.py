"""An interpreter of SCXML that is not ours (python-statemachine) runs every exported machine: it walks the same states,
does the same actions, and lets the same deadlines pass."""

import contextlib
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from statemachine.io.scxml.processor import SCXMLProcessor

from clerestory.diagrams.scxml import NAMESPACE, to_scxml
from clerestory.statemachines.contract import Table
from clerestory.statemachines.tables import TABLES
from tests.diagrams.walks import Step, edges_of, walks_of

STEPS = 150
SCXML = "{http://www.w3.org/2005/07/scxml}"
TABLE = f"{{{NAMESPACE}}}"


class AtRest(BaseException):
    """The interpreter waits for an event that it has sent to itself for later, as every deadline is."""


class Interpreter:
    """python-statemachine, under a clock that is set by hand: where it would sleep, it comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, document: str) -> None:
        self.now = 1000.0
        for module in ("statemachine.engines.sync", "statemachine.event_data"):
            monkeypatch.setattr(f"{module}.monotonic", lambda: self.now)
        monkeypatch.setattr("statemachine.engines.sync.sleep", self._sleep)
        processor = SCXMLProcessor()
        processor.parse_scxml(name, document)
        kind = processor.scs[name]
        self.machine: Any = kind.__new__(kind)
        with contextlib.suppress(AtRest):
            self.machine.__init__()  # type: ignore[misc]
        self.guards = [data.attrib["id"] for data in ET.fromstring(document).iter(SCXML + "data")]

    def _sleep(self, _: float) -> None:
        raise AtRest

    @property
    def state(self) -> str:
        """The id of the one state that it is in."""
        (state,) = self.machine.configuration
        return str(state.id)

    def take(self, step: Step) -> None:
        """Fire the trigger; a deadline's by letting its time pass."""
        for guard in self.guards:
            setattr(self.machine.model, guard, guard in step.guards)
        late = step.trigger == "DEADLINE_PASSED"
        self.now += step.seconds if late else 0.0
        with contextlib.suppress(AtRest):
            self.machine.send("time.passed" if late else step.trigger)


@pytest.mark.parametrize("name", TABLES)
def test_an_interpreter_of_scxml_walks_the_same_states(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TABLES[name]
    for walk in walks_of(table, STEPS):
        interpreter = Interpreter(monkeypatch, name, to_scxml(table))
        assert interpreter.state == table.initial
        capsys.readouterr()
        for place, step in enumerate(walk):
            interpreter.take(step)
            assert (place, interpreter.state) == (place, step.state), walk[: place + 1]
            said = f"action: {step.action!r}\n" if step.action else ""
            assert capsys.readouterr().out == said, walk[: place + 1]


def test_a_deadline_does_not_pass_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["connection"]
    interpreter = Interpreter(monkeypatch, "connection", to_scxml(table))
    seconds = table.spec(table.initial).deadline.seconds  # type: ignore[union-attr]
    early = Step("DEADLINE_PASSED", [], "", "", seconds - 0.001)
    interpreter.take(early)
    assert interpreter.state == table.initial
    interpreter.take(early._replace(seconds=0.001))
    assert interpreter.state != table.initial


@pytest.mark.parametrize("name", TABLES)
def test_the_walks_pass_a_good_part_of_the_table(name: str) -> None:
    table = TABLES[name]
    rows = {(row.source, row.trigger, row.dest) for row in table.rows}
    assert len(rows & edges_of(table, walks_of(table, STEPS))) > len(rows) / 3


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_what_scxml_has_no_element_for_is_in_attributes(table: Table) -> None:
    root = ET.fromstring(to_scxml(table))
    for spec in table.specs:
        (state,) = root.findall(f"*[@id='{spec.state}']")
        assert state.tag == SCXML + ("final" if spec.final else "state")
        assert state.get(TABLE + "true-while") == spec.true_while
        assert spec.final or state.get(TABLE + "waits-for") == spec.phrase()
    ways = [found.get(TABLE + "way") for found in root.iter(SCXML + "transition")]
    assert sorted(filter(None, ways)) == sorted(row.way.value for row in table.rows)
