"""New TLS connections: in full and resumed, each told from the other."""

from pathlib import Path

from benchmarks import handshakes, hosting
from benchmarks.environment import Peers
from benchmarks.suites import tls


def test_connections_are_made_in_full_and_resumed(tmp_path: Path, peers: Peers) -> None:
    ours = next(entry for entry in tls.servers(tls.make_certificate(tmp_path)) if entry.name == hosting.PLAIN)
    with ours.start(tmp_path, tmp_path, peers) as server:
        for kind in handshakes.KINDS:
            assert handshakes.load(server, kind, 0.3).count > 0
        context = handshakes.context()
        session, resumed = handshakes.once(server.port, context, None)
        assert not resumed
        assert handshakes.once(server.port, context, session)[1]
