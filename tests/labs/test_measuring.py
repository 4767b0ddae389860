"""What a process has spent and holds, held against what it is known to have done."""

import mmap
import os
import threading
import time

import pytest

from labs.measuring import amount, cpu_seconds, percentile, switch_seconds, usage


def test_cpu_time_is_that_of_the_process_itself() -> None:
    before, known = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() < known + 0.05:
        pass
    spent = cpu_seconds(os.getpid()) - before
    assert 0.05 <= spent <= time.process_time() - known + 0.01


def test_who_computes_wants_a_cpu_and_who_waits_wants_none() -> None:
    begun, known = usage(), time.process_time()
    while time.process_time() < known + 0.1:
        pass
    computed = usage() - begun
    begun = usage()
    threading.Event().wait(0.2)
    waited = usage() - begun
    assert computed.wanted > waited.wanted
    assert waited.load < 0.5


def test_a_wait_is_a_voluntary_switch() -> None:
    before = usage()
    for _ in range(20):
        threading.Event().wait(0.001)
    assert (usage() - before).voluntary >= 20


def test_threads_and_memory_are_counted() -> None:
    before, leave = usage(), threading.Event()
    threads = [threading.Thread(target=leave.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    with mmap.mmap(-1, 8 * 1024 * 1024, flags=mmap.MAP_PRIVATE) as block:
        block.write(bytes(len(block)))
        size, grown = len(block), usage() - before
    leave.set()
    for thread in threads:
        thread.join()
    assert grown.threads == 5
    assert grown.own >= size * 0.9
    assert grown.reserved > grown.own


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.0), percentile(values, 0.5), percentile(values, 0.99)) == (1, 51, 100)
    assert percentile([7.0], 0.99) == 7
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 KiB"), (20 * 1024, "20.0 KiB"), (98 * 1024**2, "98.0 MiB"), (39.2 * 1024**3, "39.2 GiB")],
)
def test_an_amount_is_in_the_unit_that_suits_it(count: float, text: str) -> None:
    assert amount(count) == text


def test_going_from_one_thread_to_another_costs_something() -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert 0 < switch_seconds(500) < 1
    assert len(os.listdir("/proc/self/fd")) == before
