"""One log of several processes: each line says whose it is, and none is cut into by another's."""

from pathlib import Path

from tests.conftest import Start
from tests.support.client import Client, request

LOUD = """
import logging
from clerestory.handlers.api.messages import Response
def app(request):
    logging.getLogger("loud").warning("%s", request.target[1:] * 8000)
    return Response(b"said")
"""
"""Each of its lines is several times as long as what the kernel writes to a pipe at once (PIPE_BUF)."""


def test_each_line_says_whose_it_is(start: Start) -> None:
    server = start("--workers", "2", "--no-xray")
    with Client(server.address) as client:
        assert client.get("/hello").status == 200
    event = server.wait_for("request")
    assert event["worker"] in (1, 2)
    assert list(event)[:4] == ["event", "level", "time", "worker"]
    ready = server.wait_for("worker_ready", 2)
    assert ready["worker"] == 1  # of which the supervisor speaks
    assert "worker" not in server.wait_for("listening")


def test_long_lines_stay_whole_while_nobody_reads_them(start: Start, tmp_path: Path) -> None:
    """The pipe is full most of the time: each write goes out in parts, and others' lines would come between."""
    (tmp_path / "loud_of_tests.py").write_text(LOUD)
    server = start("--workers", "3", "--no-xray", "--app-dir", str(tmp_path), target="loud_of_tests:app", deaf=True)
    letters = "abcdef"
    for _ in range(5):
        clients = [Client(server.address, data=request(f"/{letter}")) for letter in letters]
        for client in clients:
            assert client.answer().body == b"said"
            client.close()
    server.listen_again()
    for letter in letters:
        server.wait_for("logged", 5, message=letter * 8000)
    assert server.noise == []
    assert len({event["worker"] for event in server.events("logged")}) > 1
