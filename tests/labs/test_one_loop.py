"""One loop waits for clients, an input, a signal and a timer, and nothing is left of it."""

import os
import signal

from labs.event_loop import Echo, EventLoop
from labs.findings import Stage
from labs.one_loop import everything_at_once


def test_one_loop_waits_for_clients_an_input_a_signal_and_a_timer(stage: Stage) -> None:
    seen = everything_at_once(stage, EventLoop(), Echo)
    assert set(seen) == {"a client", "standard input", "the signal", "the timer"}
    assert seen[-1] == "standard input", "the line that says quit is the last"


def test_the_signals_handler_and_the_descriptors_are_as_before(stage: Stage) -> None:
    handler, descriptors = signal.getsignal(signal.SIGUSR1), len(os.listdir("/proc/self/fd"))
    everything_at_once(stage, EventLoop(), Echo)
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert len(os.listdir("/proc/self/fd")) == descriptors
