"""The price of looking in: which builds a quick run takes, and what the page says of the price."""

from benchmarks.load import Fields, Outcome
from benchmarks.suites.measuring import Case, Measured
from benchmarks.suites.observability import BARE, BASE, COMPILED, ENTRIES, is_dear, make_report


def test_a_quick_run_leaves_out_the_builds_that_take_minutes_and_serve_nothing_else() -> None:
    dear = [entry.name for entry in ENTRIES if is_dear(entry.build)]
    assert dear == [f"{COMPILED}and history off", f"{COMPILED}{BARE}"]


def test_the_price_is_told_of_each_build_that_was_measured() -> None:
    found = Measured()
    for prefix, base, bare in (("", 30.0, 25.0), (COMPILED, 20.6, 20.0)):
        for name, cost in ((BASE, base), (BARE, bare)):
            case = Case(prefix + name, "constant", Fields.REPEATED)
            found.outcomes[case] = [Outcome(1000, 1.0, 0, 0.0, 0.0, {}, cpu=cost / 1000)]
    assert make_report(found).notes == [
        "history and histograms on, over off: 1.20; the aim is 1.08: not reached.",
        "compiled: history and histograms on, over off: 1.03; the aim is 1.08: reached.",
    ]
