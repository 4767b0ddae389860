"""What clients cost: who is held, and that the figures follow the kind of server."""

from labs import event_loop, one_at_a_time, thread_pool
from labs.costs import cost, table


def test_one_at_a_time_holds_one() -> None:
    found = cost(one_at_a_time.serve, clients=3, seconds=0.1, silence=0.0, patience=0.3)
    assert (found.clients, found.held, found.threads) == (3, 1, 1)


def test_a_pool_holds_as_many_as_it_has_threads() -> None:
    found = cost(thread_pool.serve_pool, 4, clients=8, seconds=0.1, silence=0.0, patience=0.5)
    assert found.held == 4


def test_threads_switch_for_each_request_and_a_loop_under_load_does_not() -> None:
    threads = cost(thread_pool.serve_each, clients=20, seconds=0.2, silence=0.05)
    loop = cost(event_loop.serve, clients=20, seconds=0.2, silence=0.05)
    assert threads.held == loop.held == 20
    assert threads.threads == 21
    assert threads.switches > loop.switches
    assert threads.reserved > 0
    assert threads.p99 >= threads.p50 > 0
    assert loop.cpu > 0


def test_a_table_has_a_row_for_each() -> None:
    found = cost(event_loop.serve, clients=2, seconds=0.05, silence=0.0)
    made = table("Two", [("a loop", found), ("the same", found)])
    assert [row[0] for row in made.rows] == ["a loop", "the same"]
    assert all(len(row) == len(made.columns) for row in made.rows)
    assert "2 clients, 1 thread" in found.phrase()
