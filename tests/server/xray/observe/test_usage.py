"""What the process uses: the names, and that the figures are those of the kernel."""

import os
import time
from pathlib import Path

import pytest

from clerestory.server.xray.observe.usage import figures


def found() -> dict[str, float]:
    return {one.name: one.value for one in figures(7, 100)}


def test_the_figures_are_this_processs_own() -> None:
    one = found()
    assert 0 < one["process_cpu_seconds_total"] <= sum(os.times()[:2]) + 0.02
    assert 1 << 20 < one["process_resident_memory_bytes"] <= one["process_virtual_memory_bytes"]
    assert 0 < one["process_start_time_seconds"] < time.time() + 1
    assert (one["process_open_fds"], one["process_max_fds"]) == (7, 100)


def test_what_only_grows_is_a_counter_and_named_so() -> None:
    assert all((one.kind == "counter") is one.name.endswith("_total") for one in figures(7, 100))


def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Path, encoding: str, errors: str = "") -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_text", fails)
    assert set(found()) == {"process_cpu_seconds_total", "process_open_fds", "process_max_fds"}
    assert "process_open_fds" not in {one.name for one in figures(None, 100)}
