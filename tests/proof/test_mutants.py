"""Mutants: they are made of every kind, sampled evenly, mostly found, and judged once however often it is asked."""

from collections import Counter
from pathlib import Path

from proof.mutants import KINDS, all_mutants, in_order, judge_all
from proof.worlds.process import draining
from proof.worlds.threads import threads

WORLDS = [draining(1, 1, 1, 1), threads(1)]
MADE = all_mutants(WORLDS)


def test_every_kind_is_made_and_most_mutants_are_found() -> None:
    assert {mutant.kind for mutant in MADE} == set(KINDS)
    judged = judge_all(in_order(MADE)[:35], WORLDS)
    assert len(judged) == 35
    assert sum(bool(one.by) for one in judged) >= 0.6 * len(judged)


def test_every_beginning_of_the_order_is_an_even_sample() -> None:
    order = in_order(MADE)
    assert sorted(one.what for one in order) == sorted(one.what for one in MADE)
    whole = Counter((one.table.name, one.kind) for one in MADE)
    for part in (len(order) // 4, len(order) // 2):
        taken = Counter((one.table.name, one.kind) for one in order[:part])
        assert all(abs(taken[key] - size * part / len(order)) <= 1.5 for key, size in whole.items())
    assert [one.what for one in in_order(MADE)] == [one.what for one in order]


def test_what_was_judged_is_kept_and_what_there_is_no_time_for_is_left_out(tmp_path: Path) -> None:
    kept, order = tmp_path / "judged.jsonl", in_order(MADE)
    first = judge_all(order[:3], WORLDS, kept=kept)
    lines = kept.read_text().splitlines()
    assert len(lines) == 3
    assert judge_all(order, WORLDS, kept=kept, seconds=-1) == first
    assert kept.read_text().splitlines() == lines
