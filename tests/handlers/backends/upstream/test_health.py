"""Health: an upstream that fails is left alone for a while, longer each time; one that answers is back at once."""

from collections.abc import Callable, Iterator

import pytest

from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.backends.upstream.health import FAILURES, LONGEST, PROBES, Health
from clerestory.statemachines.breaker import DOWN
from clerestory.statemachines.breaker import State as S
from tests.handlers.backends.upstreams import Bench, Log

FIRST = DOWN.seconds
Make = Callable[..., Health]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def fail(health: Health, count: int = FAILURES, reason: str = "refused") -> None:
    for _ in range(count):
        health.failed(reason)


def test_a_few_failures_are_forgiven_and_an_answer_makes_them_forgotten(bench: Bench) -> None:
    health = Health("a", bench.loop)
    for _ in range(3):
        fail(health, FAILURES - 1)
        assert health.is_up
        health.succeeded()


def test_failures_in_a_row_take_it_out_for_longer_each_time_and_an_answer_brings_it_back(bench: Bench) -> None:
    health = Health("a", bench.loop, dice=lambda: 0.0)
    fail(health)
    pauses = []
    for _ in range(8):
        assert not health.is_up
        pauses.append(health.until - bench.clock.now)
        bench.pass_time(health.pause - 0.01)
        assert not health.is_up
        bench.pass_time(0.01)
        assert (health.is_up, health.is_tried) == (True, True)
        health.failed("refused")
    assert pauses == pytest.approx([FIRST, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST, LONGEST])
    health.succeeded()
    assert (health.is_up, health.is_tried, health.failures) == (True, False, 0)
    fail(health)
    assert health.pause == FIRST, "and the next time begins anew"


def test_pauses_are_jittered_up_to_half_as_much_again(bench: Bench) -> None:
    for dice, pause in ((0.0, FIRST), (0.5, FIRST * 1.25), (1.0, FIRST * 1.5)):
        health = Health("a", bench.loop, dice=lambda dice=dice: dice)  # type: ignore[misc]
        fail(health)
        assert health.pause == pause


def test_failures_of_requests_that_were_under_way_do_not_make_it_longer(bench: Bench) -> None:
    health = Health("a", bench.loop, dice=lambda: 0.0)
    fail(health, FAILURES + 50)
    assert health.pause == FIRST


def test_one_that_fails_its_checks_is_out_until_one_succeeds_whatever_it_answers(bench: Bench) -> None:
    health = Health("a", bench.loop)
    for _ in range(PROBES):
        assert health.is_up
        health.probed(well=False, reason="503")
    assert health.node.state is S.UNHEALTHY
    fail(health)
    health.succeeded()
    bench.pass_time(100)
    assert not health.is_up
    health.probed(well=True)
    assert health.is_up


def test_the_log_says_when_it_goes_down_and_why_and_when_it_comes_back(bench: Bench) -> None:
    """Once each, however often it is tried meanwhile."""
    log = bench.loop.registry[JOURNAL] = Log()
    health = Health("127.0.0.1:9000", bench.loop, dice=lambda: 0.0)
    fail(health)
    bench.pass_time(FIRST)
    health.failed("reset")
    bench.pass_time(2 * FIRST)
    health.succeeded()
    down = ("warning", "upstream_down", {"upstream": "127.0.0.1:9000", "reason": "refused"})
    up = ("info", "upstream_up", {"upstream": "127.0.0.1:9000", "after": "reset"})
    assert log.lines == [down, up]
    for _ in range(PROBES):
        health.probed(well=False, reason="its health check was answered with 503")
    assert log.lines[2:] == [
        ("warning", "upstream_down", down[2] | {"reason": "its health check was answered with 503"})
    ]


def test_it_is_a_machine_that_can_be_looked_at_until_nobody_asks_the_upstream(bench: Bench) -> None:
    health = Health("127.0.0.1:9000", bench.loop, dice=lambda: 0.0)
    assert health.facts()[1] == "127.0.0.1:9000"
    fail(health)
    assert health.facts()[9:] == ((FIRST, 0, 0.0), bench.clock.now)
    assert health.descriptor in bench.loop.machines
    health.retire()
    health.retire()
    assert health.descriptor not in bench.loop.machines
