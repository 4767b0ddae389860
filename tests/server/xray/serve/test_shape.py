"""The JSON: its members are those that the contract names."""

import json
import re

from clerestory.server.xray.observe.snapshot import row
from clerestory.server.xray.serve import shape
from clerestory.server.xray.serve.shape import ended_json, path_json, row_json, row_text, table_json
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.tables import TABLES
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import cut_of, waiting


def members(section: str) -> set[str]:
    """The members that the contract's example of `section` has, those of what is in it included."""
    text = shape.__doc__ or ""
    begin = re.search(rf"^ +{section}\n", text, re.MULTILINE)
    assert begin is not None, section
    example = text[begin.end() :].partition("\n\n")[0]
    return set(re.findall(r'"([a-z_0-9]+)":', example))


def test_a_row_has_the_members_of_the_contract() -> None:
    with bench_of(waiting()) as bench:
        bench.connect().send(GET)
        cut = cut_of(bench)
        one = row(cut.seen[1], cut.now)
        found = row_json(one)
        assert found == json.loads(row_text(one))
        deadline = found["deadline"]
        assert set(found) | set(deadline) == members("Row")


def test_a_transition_has_the_members_of_the_contract() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        path = path_json(client.connection.engine, client.connection.history, bench.clock.now + 3)
        assert set(path[0]) == members("Transition")
        assert [(one["trigger"], one["way"], one["stayed"], one["age"]) for one in path] == [
            ("HEAD_RECEIVED", "HAPPY", None, 3),
            ("OUTPUT_READY", "HAPPY", 0, 3),
            ("OUTPUT_FLUSHED", "HAPPY", 0, 3),
        ]
        for one in path:
            found = TABLE.rows[one["row"]]
            assert (found.source, found.trigger, found.dest) == (one["source"], one["trigger"], one["dest"])


def test_an_end_has_the_members_of_the_contract() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(b"GET /a?b HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        found = ended_json(bench.recorder.abnormal[0], bench.clock.now + 3)
        assert set(found) == members("Ended")
        assert (found["cause"], found["state"], found["age"]) == ("operator", "QUERYING_BACKEND", 3)
        assert found["request"] == "GET /a?..."


def test_a_table_is_told_whole_with_the_deadlines_in_force() -> None:
    for table in TABLES.values():
        found = table_json(table, {"head_timeout": 3.0})
        assert [state["name"] for state in found["states"]] == [spec.state for spec in table.specs]
        assert len(found["rows"]) == len(table.rows)
        assert {state["name"] for state in found["states"]} >= {row["dest"] for row in found["rows"]}
        for state in found["states"]:
            assert (state["deadline"] is None) != (state["unbounded"] is None)
    head = next(one for one in table_json(TABLE, {"head_timeout": 3.0})["states"] if one["name"] == "READING_HEAD")
    assert head["deadline"]["seconds"] == 3.0
    assert json.loads(json.dumps(found)) == found


def test_a_deadline_that_a_byte_puts_off_is_told_as_idle() -> None:
    idle = [state["name"] for state in table_json(TABLE, {})["states"] if (state["deadline"] or {}).get("idle")]
    assert idle == ["READING_BODY", "SENDING_RESPONSE", "EXCHANGING", "TUNNELLING", "LINGERING"]
