"""Rounds interleaved; a server that fails is listed and the others go on; ratios are of medians."""

from pathlib import Path

import pytest

from benchmarks import catalogue, load
from benchmarks.catalogue import BY_NAME, Entry
from benchmarks.environment import Peers
from benchmarks.load import Fields, Outcome
from benchmarks.suites import connections, files, observability, servers
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan, Progress, in_turn


def outcome(cost: float, requests: int = 1000, **errors: int) -> Outcome:
    return Outcome(requests, 1.0, requests * 200, 0.001, 0.002, errors, cpu=cost * requests / 1e6)


def found_for(*costs: tuple[str, str, float]) -> Measured:
    found = Measured()
    for server, workload, cost in costs:
        for fields in Fields:
            found.outcomes[Case(server, workload, fields)] = [outcome(cost), outcome(cost * 3), outcome(cost * 1.1)]
    return found


def test_each_second_round_goes_backwards() -> None:
    assert [in_turn("abc", turn) for turn in range(3)] == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


def test_a_real_measurement_lists_who_failed_and_goes_on(data: Path, tmp_path: Path, wrk: str) -> None:
    broken = Entry("broken", lambda _: ["false"])
    absent = Entry("absent", lambda _: [], needs=("surely-not-installed",))
    plan = Plan(data, tmp_path, Peers(tmp_path))
    entries = [broken, absent, BY_NAME["bare epoll loop"]]
    found = measure(plan, entries, ("constant", "sqlite"), (Fields.REPEATED,), 2, 1.0)
    assert "ended by itself with status 1" in found.absent["broken"]
    assert "pip install surely-not-installed" in found.absent["absent"]
    case = Case("bare epoll loop", "constant", Fields.REPEATED)
    assert list(found.outcomes) == [case]
    cost = found.cost(case)
    assert cost is not None
    assert cost.rounds == 2
    assert found.errors(case) == "0"


def test_a_ratio_is_of_medians() -> None:
    found = found_for(("a", "constant", 10.0), ("b", "constant", 20.0))
    a, b, none = (Case(name, "constant", Fields.REPEATED) for name in ("a", "b", "none"))
    assert found.ratio(a, b) == pytest.approx(0.5)
    assert found.ratio(a, none) is None


def test_ratios_are_named_by_what_was_measured() -> None:
    found = found_for(("a", "constant", 10.0), ("b", "constant", 20.0))
    ratios = found.ratios(("a",), ("b", "none"), ("constant",), (Fields.REPEATED,))
    assert ratios == {"constant JSON, fields repeated: a ÷ b": pytest.approx(0.5)}


def test_two_load_generators_stand_side_by_side() -> None:
    found = found_for(("nginx", "constant", 10.0), (servers.RELEASED, "constant", 12.0))
    (ours, theirs) = servers.second_table(found, {servers.RELEASED: [26.0], "nginx": [20.0]}).rows
    assert ours[1:3] == ("13.2", "26.0")
    assert theirs[4:] == ("1.20", "1.30")


def test_errors_of_all_rounds_are_added() -> None:
    case = Case("a", "constant", Fields.REPEATED)
    found = Measured({case: [outcome(1, read=2), outcome(1, read=1, timeout=1)]})
    assert found.errors(case) == "3 read, 1 timeout"


def test_the_servers_table_puts_the_cheapest_first_and_compares_with_ours() -> None:
    ours = ((servers.RELEASED, "constant", 8.0), (servers.HTTPTOOLS, "constant", 10.0))
    found = found_for(("nginx", "constant", 5.0), ("hypercorn", "constant", 100.0), *ours)
    names = [entry.name for entry in catalogue.ENTRIES]
    table = servers.workload_table(found, names, "constant")
    assert [row[0] for row in table.rows[::2]] == ["nginx", servers.RELEASED, servers.HTTPTOOLS, "hypercorn"]
    assert [row[5] for row in table.rows[::2]] == ["2.00", "1.25", "1.00", "0.10"]
    assert table.rows[0][4] == "5.00-15.0"
    aims = servers.aims_table(found)
    assert [(row[1], row[3], row[5]) for row in aims.rows] == [("nginx", "1.30", "no"), ("nginx", "1.80", "yes")]
    assert "hypercorn" in servers.workload_plot(found, names, "constant")


def test_the_files_page_says_which_aims_were_reached() -> None:
    plain, compiled = files.OURS
    found = found_for((plain, "small-file", 40.0), (compiled, "small-file", 20.0), ("nginx", "small-file", 10.0))
    report = files.make_report(found, [*files.OURS, "nginx"])
    assert report.notes == [
        f"{plain}, 16 KiB: 4.00 of nginx's CPU a request; the aim is 3.0: not reached.",
        f"{compiled}, 16 KiB: 2.00 of nginx's CPU a request; the aim is 3.0: reached.",
    ]


def test_the_price_of_looking_in_is_on_over_off() -> None:
    found = found_for((observability.BASE, "constant", 10.5), (observability.BARE, "constant", 10.0))
    found.absent["and history off"] = "not there"
    report = observability.make_report(found)
    assert report.notes[0].endswith("1.05; the aim is 1.08: reached.")
    assert report.notes[1] == "and history off: not there"


def test_the_connections_page_has_cpu_and_memory() -> None:
    found = connections.Found()
    for size, cost in ((0, 10.0), (100, 11.0)):
        found.active["nginx", size] = [outcome(cost)]
    found.memory["nginx"], found.held["nginx"], found.lost["nginx"] = [614.4], 1000, 2
    report = connections.make_report(found, ["nginx"], (0, 100))
    assert [row[4] for row in report.tables[0].rows] == ["1.00", "1.10"]
    assert report.tables[1].rows == [("nginx", "0.60", "", "1,000", "2")]
    assert set(report.plots) == {"connections-cpu", "connections-memory"}


def test_progress_counts_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.expect(12)
    progress.step("one")
    assert "[ 1/12] one" in capsys.readouterr().err


def test_a_plan_takes_what_was_asked_for_before_its_own(tmp_path: Path) -> None:
    plan = Plan(tmp_path, tmp_path, Peers(tmp_path), quick=True, only=("NGI",))
    assert (plan.rounds_or(5), plan.seconds_or(2.0, 0.4)) == (1, 0.4)
    plan.rounds, plan.seconds = 7, 0.9
    assert (plan.rounds_or(5), plan.seconds_or(2.0, 0.4)) == (7, 0.9)
    assert plan.wants("nginx")
    assert not plan.wants("node")


def test_verification_knows_every_workload(data: Path) -> None:
    assert all(load.expected(workload, 1) for workload in load.WORKLOADS.values())
