"""What the profile of waiting costs: pairs of rounds, and whether the aim is reached."""

from benchmarks.load import Fields, Outcome
from benchmarks.suites.measuring import Case, Measured
from benchmarks.suites.profile import ENTRIES, OFF, make_report


def test_each_build_and_workload_is_measured_with_and_without() -> None:
    names = {entry.name for entry in ENTRIES}
    with_it = {name for name in names if not name.endswith(OFF)}
    assert names - with_it == {name + OFF for name in with_it}
    assert {(entry.build.compiled, bool(entry.build.left_out)) for entry in ENTRIES} == {
        (compiled, off) for compiled in (False, True) for off in (False, True)
    }


def test_the_ratio_is_the_median_of_the_rounds_own() -> None:
    found = Measured()
    for name, costs in (("compiled constant", (10.2, 30.9, 20, 9)), ("compiled constant" + OFF, (10, 30, 19, 9))):
        case = Case(name, "constant", Fields.REPEATED)
        found.outcomes[case] = [Outcome(1000, 1.0, 0, 0.0, 0.0, {}, cpu=cost / 1000) for cost in costs]
    report = make_report(found)
    assert report.tables[0].rows[0][3:5] == ("1.025", "1.00-1.05")
    assert report.notes == ["compiled: constant JSON: 1.025; the aim is 1.03: reached."]
