"""A load of our own: what it says is counted, and what goes wrong is told with its last words."""

import sys
from pathlib import Path

import pytest

from benchmarks import clients
from benchmarks.clients import Done
from benchmarks.processes import Server, ServerFailed, free_port


def test_cost_and_rate_are_by_what_was_done() -> None:
    done = Done(2000, 0.5, 0.1)
    assert done.cost == pytest.approx(50.0)
    assert done.rate == pytest.approx(4000)


@pytest.mark.parametrize(
    ("module", "reason"),
    [("benchmarks.surely_not", "No module named benchmarks.surely_not"), ("benchmarks.handshakes", "refused")],
)
def test_one_that_cannot_be_run_says_why(module: str, reason: str, tmp_path: Path) -> None:
    port = free_port()
    with Server([sys.executable, "-m", "benchmarks.floor", str(port)], port, tmp_path / "log") as server:
        server.port = free_port()
        with pytest.raises(ServerFailed, match=reason):
            clients.run(server, module, 0.1, "full")
