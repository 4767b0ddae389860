"""Targets as browsers send them: what they leave bare is served, handed on and logged percent-encoded, or refused."""

from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client
from tests.support.recording import RecordingUpstream

# WHATWG URL leaves these bare; what is expected is RFC 3986's spelling.
BARE = [
    ("/?q={%22a%22:1}", "/?q=%7B%22a%22:1%7D"),
    ("/?t=A|B", "/?t=A%7CB"),
    ("/?x=a^b", "/?x=a%5Eb"),
    ("/?x=`y`", "/?x=%60y%60"),
    ("/a|b.txt", "/a%7Cb.txt"),
    ("/?a=100%", "/?a=100%25"),
    ('/?x="<y>\\', "/?x=%22%3Cy%3E%5C"),
]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_a_bare_target_reaches_the_upstream_and_the_log_as_a_uri(start: Start, parser: str) -> None:
    """What leaves the server is well-formed (RFC 3986), whichever parser has read it and whichever reads it next."""
    with RecordingUpstream({"h11": "httptools", "httptools": "h11"}[parser]) as upstream:
        server = start("--parser", parser, "--log-queries", target=upstream.url)
        with Client(server.address) as client:
            for sent, _ in BARE:
                assert client.get(sent).status == 200
        assert [each.target.decode() for each in upstream.recorded] == [encoded for _, encoded in BARE]
        assert upstream.offences == []
    for sent, encoded in BARE:
        server.request_event(encoded)
        assert server.events("request", target=sent) == []


def test_a_file_is_found_by_a_name_that_a_browser_leaves_bare(start: Start, tmp_path: Path) -> None:
    """A path is decoded once: `%` without two digits stands for itself, and an encoded name is the same file."""
    names = {"a|b.txt": ["/a|b.txt", "/a%7Cb.txt"], "100%": ["/100%", "/100%25"], "{x}^`": ["/{x}^`", "/%7bx}^`"]}
    for name in names:
        (tmp_path / name).write_text(name)
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        for name, targets in names.items():
            for target in targets:
                answer = client.get(target)
                assert (answer.status, answer.text) == (200, name)
        assert client.get("/%2e%").status == 404, "a hidden name"


def test_strict_targets_refuse_what_is_no_uri(start: Start, tmp_path: Path) -> None:
    """--strict-targets: RFC 3986 alone, with 400 for the rest."""
    (tmp_path / "a|b.txt").write_text("here")
    server = start("--strict-targets", target=str(tmp_path))
    for sent, encoded in BARE:
        with Client(server.address) as client:
            answer = client.get(sent)
            assert (answer.status, answer.get("connection")) == (400, "close"), sent
            assert " in the request target" in answer.text
            assert client.end() == "closed"
        with Client(server.address) as client:
            assert client.get(encoded).status == (200 if ".txt" in encoded else 404)


@pytest.mark.parametrize("host", ["a|b", "{a}", "a^b", "a`b", "a%"])
def test_a_host_is_never_read_so_freely(start: Start, tmp_path: Path, host: str) -> None:
    """RFC 9110 section 7.2: Host, and the authority of an absolute-form target, is uri-host[:port] and nothing else."""
    server = start(target=str(tmp_path))
    for head in (f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", f"GET http://{host}/ HTTP/1.1\r\nHost: a\r\n\r\n"):
        with Client(server.address, data=head.encode()) as client:
            assert client.answer().status == 400
