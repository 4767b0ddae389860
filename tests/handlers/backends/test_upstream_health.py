"""Health: who fails is left in peace for a while, and longer each time; who answers is back at once."""

from handlers.backends.upstream_health import FAILURES, FIRST, LONGEST, Health


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_few_failures_are_forgiven_and_an_answer_makes_them_forgotten() -> None:
    health = Health(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            health.failed()
            assert health.is_up
        health.succeeded()


def test_failures_in_a_row_take_it_out_for_longer_each_time_and_an_answer_brings_it_back() -> None:
    clock = Clock()
    health = Health(clock, dice=lambda: 1.0)
    for _ in range(FAILURES):
        health.failed()
    pauses = []
    for _ in range(8):
        assert not health.is_up
        pauses.append(health.until - clock.now)
        clock.now = health.until
        health.failed()  # its time is over, and it was asked again
    assert pauses == [FIRST, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST, LONGEST]
    health.succeeded()
    assert health.is_up
    assert health.failures == 0


def test_pauses_are_jittered_between_half_and_whole() -> None:
    for dice, pause in ((0.0, FIRST / 2), (0.5, FIRST * 0.75), (1.0, FIRST)):
        clock = Clock()
        health = Health(clock, dice=lambda dice=dice: dice)  # type: ignore[misc]
        for _ in range(FAILURES):
            health.failed()
        assert health.until - clock.now == pause


def test_failures_of_requests_that_were_under_way_do_not_make_it_longer() -> None:
    clock = Clock()
    health = Health(clock, dice=lambda: 1.0)
    for _ in range(FAILURES + 50):
        health.failed()
    assert health.until - clock.now == FIRST
