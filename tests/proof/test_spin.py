"""Spin and the explorer agree: on faults, and on the number of states."""

import subprocess
from pathlib import Path

import pytest

from proof import catalogue, spin
from proof.explorer import Explorer
from proof.promela import to_promela
from proof.report import Result
from proof.world import Always, Eventually, World
from proof.worlds.threads import threads
from tests.proof.toys import lamps

needs_spin = pytest.mark.skipif(not spin.is_there(), reason="Spin, or a C compiler, is not installed")


def said(world: World) -> list[str]:
    return [bool(one.fault) * one.what for one in spin.check(world, lambda line: None)]


@needs_spin
def test_a_world_without_a_fault_has_none_in_either_and_as_many_states() -> None:
    world = threads(1)
    result = Result(world, Explorer(world).explore(), spin.check(world, lambda line: None))
    assert result.faults == []
    assert len(result.verdicts) == 1 + len(world.eventually)
    assert result.verdicts[0].states == result.outcome.states > 20


@needs_spin
@pytest.mark.parametrize(
    ("world", "fault"),
    [
        (lamps("tell(b, SWITCHED)\ntell(b, SWITCHED)"), "safety"),
        (lamps(always=(Always("it is never light", "not at(a, LIT)"),)), "safety"),
        (lamps(eventually=(Eventually("it is lit", "at(a, DARK)", "at(a, LIT)"),)), "it is lit"),
    ],
    ids=["no row", "always", "eventually"],
)
def test_what_the_explorer_finds_spin_finds(world: World, fault: str) -> None:
    assert Explorer(world).explore().fault is not None
    assert [one for one in said(world) if one] == [fault]


def test_every_promise_is_a_claim_and_every_process_is_one() -> None:
    world = threads(1)
    text = to_promela(world)
    assert [f"ltl p{number} " in text for number in range(len(world.eventually))] == [True] * len(world.eventually)
    for process in ("loop", "p_peers", "p_operator", "p_clock_c0", "p_clock_w0", "p_thread"):
        assert f"active proctype {process}()" in text


def test_a_disagreement_about_the_number_of_states_is_a_fault() -> None:
    world = lamps()
    outcome = Explorer(world).explore()
    verdict = spin.Verdict("safety", outcome.states + 1, 0, 0.0, 0.0, "")
    assert Result(world, outcome, [verdict]).faults == [
        f"spin has {outcome.states + 1} states, the explorer {outcome.states}"
    ]


@needs_spin
@pytest.mark.parametrize("world", catalogue.quick(), ids=lambda world: world.name)
def test_every_world_is_a_model_that_spin_takes(world: World, tmp_path: Path) -> None:
    (tmp_path / "model.pml").write_text(to_promela(world))
    done = subprocess.run(["spin", "-a", "model.pml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Error" in done.stdout) == (0, False), done.stdout
