"""What is kept is found again for the same world, tables and checkers, and for no others."""

from dataclasses import replace
from pathlib import Path

from proof.explorer import Explorer
from proof.kept import Kept, digest
from proof.report import Result
from proof.spin import Verdict
from proof.world import Always
from tests.proof.toys import LAMP, lamps

SAFE = Verdict("safety", 6, 20, 0.5, 1.0, "")


def test_a_result_is_found_again(tmp_path: Path) -> None:
    kept, world = Kept(tmp_path / "made"), lamps()
    assert kept.get(world) is None
    outcome = Explorer(world).explore()
    kept.put(Result(world, outcome, [SAFE]))
    found = kept.get(world)
    assert found is not None
    assert found.outcome == outcome._replace(rows=set())
    assert found.verdicts == [SAFE]
    assert kept.get(world, "without Spin") is None


def test_a_result_with_a_fault_is_not_kept(tmp_path: Path) -> None:
    kept, world = Kept(tmp_path), lamps("assert not alive(a)")
    kept.put(Result(world, Explorer(world).explore(), []))
    assert kept.get(world) is None


def test_another_table_or_another_promise_is_another_world() -> None:
    shorter = replace(LAMP, rows=LAMP.rows[:-1])
    more = lamps(always=(Always("there are lamps", "alive(a)"),))
    assert len({digest([one]) for one in (lamps(), lamps(table=shorter), more)}) == 3
    assert digest([lamps()]) == digest([lamps()])
