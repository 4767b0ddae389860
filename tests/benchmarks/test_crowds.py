"""What one that waits costs: each kind is opened, waits in the application, and has a size."""

from pathlib import Path

import pytest

from benchmarks import crowds, hosting
from benchmarks.environment import Peers
from benchmarks.processes import ServerFailed


@pytest.mark.parametrize("kind", ["websocket", "stream", "task"])
def test_each_kind_waits_and_has_a_size(kind: str, tmp_path: Path, peers: Peers) -> None:
    _, plain = hosting.ours_with(hosting.APP)
    with plain.start(tmp_path, tmp_path, peers) as server:
        assert 0 < crowds.held(server, kind, 50) < 200 * 1024


def test_one_that_does_not_wait_is_told(tmp_path: Path, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = hosting.ours_with(hosting.APP)
    monkeypatch.setattr(crowds, "TARGETS", {"task": "/constant"})
    monkeypatch.setattr(crowds, "PATIENCE", 0.3)
    with plain.start(tmp_path, tmp_path, peers) as server, pytest.raises(ServerFailed, match="fewer than 200 wait"):
        crowds.held(server, "task", 1)
