"""A directory as it is found: what is no regular file, what is very large, and what changes while it is sent."""

import os
import threading
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client, CutShort, request
from tests.support.waiting import eventually

pytestmark = pytest.mark.tls_too

FIVE_GIB = 5 * 1024**3


def test_what_is_no_regular_file_inside_the_root_is_the_same_404(start: Start, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.write_text("secret")
    os.mkfifo(root / "fifo")
    (root / "device").symlink_to("/dev/zero")
    (root / "link").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / ".hidden").write_text("secret")
    (root / "forbidden").write_text("secret")
    server = start(target=str(root))
    answers = set()
    with Client(server.address) as client:
        for target in (
            *("/fifo", "/device", "/link", "/up/outside", "/loop", "/.hidden", "/missing", "/missing/", "/fifo/"),
            *("/../outside", "/%2e%2e/outside", "/..%2foutside", "/%2e%2e%2foutside", "/link/", "/forbidden/"),
        ):
            answer = client.get(target)
            fields = tuple(
                field for field in answer.fields if field[0] not in ("date", "x-request-id", "content-length")
            )
            answers.add((answer.status, answer.error, fields))
        assert len(answers) == 1
        assert answers.pop()[0] == 404
    server.settle()


@pytest.mark.parametrize("target", ["/a%00b", "/a%0ab", "/a%5cb", "/a%7fb"])
def test_a_name_that_no_file_can_have_is_refused(start: Start, tmp_path: Path, target: str) -> None:
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        answer = client.get(target)
        assert (answer.status, answer.get("connection")) == (400, None)
        assert answer.error == "400 Bad Request: The path has a control byte or a backslash."


def test_a_file_of_five_gibibytes_is_told_and_served_at_its_end(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(FIVE_GIB - 3)
        file.write(b"end")
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        assert client.get("/sparse", method="HEAD")["content-length"] == str(FIVE_GIB)
        answer = client.get("/sparse", "Range: bytes=-5")
        assert (answer.status, answer.body) == (206, b"\0\0end")
        assert answer["content-range"] == f"bytes {FIVE_GIB - 5}-{FIVE_GIB - 1}/{FIVE_GIB}"
        memory = server.memory()
        client.send(request("/sparse"))
        client.take(10_000_000)
        assert server.memory() < memory + 2 * 1024 * 1024
        client.reset()
    server.settle()


def test_a_file_that_is_replaced_while_it_is_sent_comes_as_it_was(start: Start, tmp_path: Path) -> None:
    old, new = b"o" * 20_000_000, b"n" * 20_000_000
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(old)
    (tmp_path / "new").write_bytes(new)
    server = start(target=str(root))
    with Client(server.address, data=request("/file") + request("/file"), window=65536) as client:
        client.take(1000)
        (tmp_path / "new").rename(root / "file")
        assert client.answer().body == old
        assert client.answer().body == new
    server.settle()


def test_a_file_that_is_truncated_while_it_is_sent_is_cut(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 20_000_000)
    server = start(target=str(tmp_path))
    with Client(server.address, data=request("/file"), window=65536) as client:
        client.take(1000)
        os.truncate(path, 100)
        with pytest.raises(CutShort):
            client.answer()
    event = server.wait_for("connection_ended")
    assert (event["cause"], event["trigger"]) == ("server", "RESPONSE_BROKEN")
    server.settle()


def test_no_way_of_asking_leaves_a_file_open(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        tag = client.get("/file")["etag"]
        for lines, method, status in (
            ((), "HEAD", 200),
            ((f"If-None-Match: {tag}",), "GET", 304),
            ((f"If-None-Match: {tag}",), "HEAD", 304),
            (('If-Match: "other"',), "GET", 412),
            (("Range: bytes=0-9",), "GET", 206),
            (("Range: bytes=0-9,20-29",), "GET", 206),
            (("Range: bytes=0-9,20-29",), "HEAD", 200),
            (("Range: bytes=9999-",), "GET", 416),
            ((), "POST", 405),
            ((), "OPTIONS", 204),
        ):
            for _ in range(20):
                assert client.get("/file", *lines, method=method).status == status
    server.settle()


def test_a_pipe_in_the_root_never_blocks_the_loop(start: Start, tmp_path: Path) -> None:
    """Opening a FIFO for reading waits for a writer, unless it is asked not to."""
    os.mkfifo(tmp_path / "fifo")
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        assert client.get("/fifo").status == 404
        writer = threading.Thread(target=lambda: os.close(os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)))
        writer.start()
        assert client.get("/fifo").status == 404
        writer.join()
        eventually(lambda: client.get("/").status == 404)


def test_ten_thousand_ranges_cost_little(start: Start, tmp_path: Path) -> None:
    """starlette's CVE-2025-62727. As many as a head holds, asked for ten times."""
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    server = start("--max-field-line", "120000", "--max-head", "130000", target=str(tmp_path))
    ranges = ",".join(f"{at}-{at}" for at in range(10_000))
    with Client(server.address) as client:
        cpu = server.cpu()
        for _ in range(10):
            answer = client.get("/file", f"Range: bytes={ranges}")
            assert (answer.status, len(answer.body)) == (200, 100_000)
        assert server.cpu() - cpu <= 0.2
