"""What a directory answers: every status and field, and that no descriptor is left open."""

import os
import resource
import shutil
from calendar import timegm
from pathlib import Path
from typing import NamedTuple

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.backends.threads.work import ThreadCall
from clerestory.handlers.router import Router
from clerestory.handlers.static import entries as static_entries
from clerestory.handlers.static import paths as static_paths
from clerestory.handlers.static.files import StaticFiles
from clerestory.handlers.static.known import FRESH
from tests.handlers.running import FakeExecutor

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

SECONDS = 784111777
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
CONTENT = bytes(range(100))


def now() -> float:
    return timegm((2026, 11, 23, 0, 0, 0))


class Reply(NamedTuple):
    """An answer whose body has been read, as the server would send it."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes


def take(response: Response) -> Reply:
    """Read the body of `response` and close what it holds."""
    body = b""
    for piece in FakeExecutor().pieces_of(response):
        if isinstance(piece, File):
            body += os.pread(piece.descriptor, piece.count, piece.offset)
            piece.close()
        else:
            body += piece
    close = getattr(response.body, "close", None)
    if close is not None:
        close()
    names = [name for name, _ in response.fields]
    assert len(names) == len(set(names)), "no field twice"
    return Reply(response.status, dict(response.fields), body)


def ask(application: StaticFiles | Router, target: str, method: str = "GET", **fields: bytes) -> Reply:
    head = tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())
    return take(FakeExecutor().answer(application, Request(method, target, head)))


def refusal(application: StaticFiles | Router, target: str, method: str = "GET", **fields: bytes) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        ask(application, target, method, **fields)
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "bare").mkdir()
    (root / "index.html").write_text("<h1>top")
    (root / "sub" / "index.html").write_text("<h1>sub")
    (root / "data.bin").write_bytes(CONTENT)
    (root / "empty.txt").touch()
    (root / "a b.txt").write_text("space")
    (root / "ä.txt").write_text("umlaut")
    (root / ".env").write_text("secret")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_text("contact")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "in.txt").symlink_to("sub/index.html")
    for path in root.rglob("*"):
        os.utime(path, (SECONDS, SECONDS), follow_symlinks=False)
    return root


@pytest.fixture
def files(root: Path) -> StaticFiles:
    return StaticFiles(root, now=now)


@pytest.mark.parametrize(
    ("target", "content_type", "body"),
    [
        ("/", b"text/html; charset=utf-8", b"<h1>top"),
        ("/?query", b"text/html; charset=utf-8", b"<h1>top"),
        ("/index.html", b"text/html; charset=utf-8", b"<h1>top"),
        ("/sub/", b"text/html; charset=utf-8", b"<h1>sub"),
        ("/data.bin", b"application/octet-stream", CONTENT),
        ("/a%20b.txt", b"text/plain; charset=utf-8", b"space"),
        ("/%C3%A4.txt", b"text/plain; charset=utf-8", b"umlaut"),
        ("/sub/../data%2ebin", b"application/octet-stream", CONTENT),
        ("/.well-known/security.txt", b"text/plain; charset=utf-8", b"contact"),
        ("/in.txt", b"text/plain; charset=utf-8", b"<h1>sub"),
        ("/empty.txt", b"text/plain; charset=utf-8", b""),
    ],
)
def test_a_file_is_sent_with_its_fields(files: StaticFiles, target: str, content_type: bytes, body: bytes) -> None:
    reply = ask(files, target)
    etag = reply.fields.pop(b"etag")
    assert reply == (
        200,
        {
            b"cache-control": b"no-cache",
            b"last-modified": DATE,
            b"accept-ranges": b"bytes",
            b"x-content-type-options": b"nosniff",
            b"content-type": content_type,
        },
        body,
    )
    assert etag.startswith(b'"')


def test_head_is_answered_as_get(files: StaticFiles) -> None:
    assert ask(files, "/data.bin", "HEAD") == ask(files, "/data.bin")


def test_the_body_is_a_stretch_of_the_open_file(files: StaticFiles) -> None:
    response = files(Request("GET", "/data.bin", ()))
    assert isinstance(response, Response)
    body = response.body
    assert isinstance(body, File)
    assert (body.offset, body.count, body.owned) == (0, 100, True)
    assert os.fstat(body.descriptor).st_size == 100
    assert not os.get_inheritable(body.descriptor)
    body.close()


@pytest.mark.parametrize(
    "target",
    [
        *("/nothing", "/nothing/", "/sub/nothing", "/data.bin/", "/data.bin/x", "/in.txt/", "/bare/", "/sub/deep/"),
        *("/.env", "/%2eenv", "/out.txt", "/out.txt/", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"),
        *("/sub%2findex.html", "//data.bin", "/sub//index.html", "/sub/../../root/data.bin", "/" + "x" * 300),
    ],
)
def test_outside_hidden_and_missing_are_the_same_404(files: StaticFiles, target: str) -> None:
    error = refusal(files, target)
    assert (error.status, error.detail, error.fields) == (404, "There is no such file.", ())


def test_forbidden_is_the_same_404(files: StaticFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = os.open

    def refuse(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == b"data.bin":
            raise PermissionError(13, "Permission denied")
        return open_file(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(static_paths.os, "open", refuse)  # type: ignore[attr-defined]
    error = refusal(files, "/data.bin")
    assert (error.status, error.detail, error.fields) == (404, "There is no such file.", ())


@pytest.mark.parametrize("target", ["/a%00", "/a%0a", "/a%5c..", "/%zz"])
def test_a_malformed_path_is_400(files: StaticFiles, target: str) -> None:
    assert refusal(files, target).status == 400


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", b"/sub/"),
        ("/sub?a=b", b"/sub/?a=b"),
        ("/sub/deep", b"/sub/deep/"),
        ("/bare", b"/bare/"),
        ("/sub/deep/../../bare", b"/bare/"),
        ("http://evil.example/sub", b"/sub/"),
    ],
)
def test_a_directory_without_its_slash_is_redirected_by_path_only(
    files: StaticFiles, target: str, location: bytes
) -> None:
    assert ask(files, target) == (301, {b"location": location}, b"")


@pytest.mark.parametrize("target", ["//evil.example", "//evil.example/..", "/%2Fevil.example", "//sub", "/.//sub"])
def test_no_redirect_leads_to_another_host(files: StaticFiles, root: Path, target: str) -> None:
    (root / "evil.example").mkdir()
    try:
        reply = ask(files, target)
    except HTTPError as error:
        assert error.status == 404  # noqa: PT017 - either is well
    else:
        assert not reply.fields.get(b"location", b"").startswith(b"//")


def test_a_redirect_encodes_the_name(files: StaticFiles, root: Path) -> None:
    (root / "a?b#c%d").mkdir()
    assert ask(files, "/a%3Fb%23c%25d").fields == {b"location": b"/a%3Fb%23c%25d/"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_another_method_is_405_with_allow(files: StaticFiles, method: str) -> None:
    error = refusal(files, "/data.bin", method)
    assert (error.status, error.detail) == (405, f"{method} is not allowed here; use GET, HEAD or OPTIONS.")
    assert error.fields == ((b"allow", b"GET, HEAD, OPTIONS"),)


def test_options_is_answered_and_an_unknown_method_is_501(files: StaticFiles) -> None:
    assert ask(files, "/data.bin", "OPTIONS") == (204, {b"allow": b"GET, HEAD, OPTIONS"}, b"")
    assert ask(files, "*", "OPTIONS").status == 204
    assert refusal(files, "/", "BREW").status == 501


class TestConditions:
    def test_a_client_that_has_it_gets_304_with_tag_and_cache_control(self, files: StaticFiles) -> None:
        etag = ask(files, "/data.bin").fields[b"etag"]
        expected = (304, {b"etag": etag, b"cache-control": b"no-cache"}, b"")
        assert ask(files, "/data.bin", if_none_match=etag) == expected
        assert ask(files, "/data.bin", "HEAD", if_none_match=b"W/" + etag) == expected
        assert ask(files, "/data.bin", if_modified_since=DATE) == expected
        assert ask(files, "/data.bin", if_none_match=etag, range=b"bytes=0-1") == expected

    def test_304_keeps_vary(self, files: StaticFiles, root: Path) -> None:
        (root / "data.bin.gz").write_bytes(b"gz")
        for accepted in (b"gzip", b"identity"):
            etag = ask(files, "/data.bin", accept_encoding=accepted).fields[b"etag"]
            reply = ask(files, "/data.bin", accept_encoding=accepted, if_none_match=etag)
            assert reply.fields == {b"etag": etag, b"cache-control": b"no-cache", b"vary": b"accept-encoding"}

    def test_a_condition_that_does_not_hold_is_412(self, files: StaticFiles) -> None:
        error = refusal(files, "/data.bin", if_match=b'"other"')
        assert (error.status, error.detail) == (412, "The file does not meet the request's condition.")

    def test_a_replaced_file_is_sent_again(self, files: StaticFiles, root: Path) -> None:
        etag = ask(files, "/data.bin").fields[b"etag"]
        (root / "new").write_bytes(CONTENT[::-1])
        os.utime(root / "new", (SECONDS + 1, SECONDS + 1))
        (root / "new").replace(root / "data.bin")
        reply = ask(files, "/data.bin", if_none_match=etag)
        assert (reply.status, reply.body) == (200, CONTENT[::-1])

    def test_the_same_bytes_deployed_again_are_not_sent_again(self, files: StaticFiles, root: Path) -> None:
        """Another file with the same size and time is the same version: to a replica's or an older tag the answer is
        304, and a range of it can be had."""
        etag = ask(files, "/data.bin").fields[b"etag"]
        shutil.copy2(root / "data.bin", root / "new")
        (root / "new").replace(root / "data.bin")
        again = StaticFiles(root, now=now)
        assert ask(again, "/data.bin", if_none_match=etag).status == 304
        assert ask(again, "/data.bin", if_range=etag, range=b"bytes=0-1").body == CONTENT[:2]

    def test_an_svg_image_that_is_kept_compressed_is_told_so(self, files: StaticFiles, root: Path) -> None:
        """RFC 9110 section 8.4: whatever the client accepts, it is the only representation."""
        (root / "a.svgz").write_bytes(b"compressed")
        reply = ask(files, "/a.svgz")
        told = (reply.fields[b"content-type"], reply.fields[b"content-encoding"])
        assert told == (b"image/svg+xml", b"gzip")
        assert b"vary" not in reply.fields

    def test_cache_control_is_the_operators(self, root: Path) -> None:
        files = StaticFiles(root, cache_control=b"public, max-age=31536000, immutable")
        assert ask(files, "/data.bin").fields[b"cache-control"] == b"public, max-age=31536000, immutable"


class TestRanges:
    def test_one_range(self, files: StaticFiles) -> None:
        reply = ask(files, "/data.bin", range=b"bytes=10-19")
        assert (reply.status, reply.body) == (206, CONTENT[10:20])
        assert reply.fields[b"content-range"] == b"bytes 10-19/100"
        assert reply.fields[b"content-type"] == b"application/octet-stream"
        assert {b"etag", b"last-modified", b"cache-control", b"accept-ranges"} < set(reply.fields)

    def test_the_only_range_of_several_that_is_there_is_sent_alone(self, files: StaticFiles) -> None:
        reply = ask(files, "/data.bin", range=b"bytes=200-,10-19")
        assert (reply.status, reply.body) == (206, CONTENT[10:20])
        assert reply.fields[b"content-range"] == b"bytes 10-19/100"

    def test_several_ranges_are_parts_of_one_message(self, files: StaticFiles) -> None:
        reply = ask(files, "/data.bin", range=b"bytes=90-99,0-9")
        assert reply.status == 206
        assert b"content-range" not in reply.fields
        media_type, boundary = reply.fields[b"content-type"].split(b"; boundary=")
        assert media_type == b"multipart/byteranges"
        assert reply.fields[b"content-length"] == b"%d" % len(reply.body)
        pieces = reply.body.split(b"--" + boundary)
        assert [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:3]] == [
            CONTENT[90:] + b"\r\n",
            CONTENT[:10] + b"\r\n",
        ]
        assert pieces[3] == b"--\r\n"

    @pytest.mark.parametrize("value", [b"bytes=100-", b"bytes=200-300,400-", b"bytes=-0"])
    def test_ranges_beyond_the_end_are_416(self, files: StaticFiles, value: bytes) -> None:
        error = refusal(files, "/data.bin", range=value)
        assert (error.status, error.detail) == (416, "The file has 100 bytes.")
        assert dict(error.fields) == {b"content-range": b"bytes */100", b"accept-ranges": b"bytes"}

    @pytest.mark.parametrize(
        "value",
        [b"bytes=x", b"bytes=5-4", b"items=0-1", b"bytes=0-,0-", b"bytes=" + b",".join([b"0-0"] * 17)],
    )
    def test_a_range_that_is_ignored_is_the_whole_file(self, files: StaticFiles, value: bytes) -> None:
        reply = ask(files, "/data.bin", range=value)
        assert (reply.status, reply.body) == (200, CONTENT)
        assert b"content-range" not in reply.fields

    def test_the_bound_of_ranges_is_the_operators(self, root: Path) -> None:
        value = b"bytes=0-0,2-2,4-4"
        assert ask(StaticFiles(root, max_ranges=3), "/data.bin", range=value).status == 206
        assert ask(StaticFiles(root, max_ranges=2), "/data.bin", range=value).status == 200

    def test_head_has_no_ranges(self, files: StaticFiles) -> None:
        assert ask(files, "/data.bin", "HEAD", range=b"bytes=0-1").status == 200
        assert ask(files, "/data.bin", "HEAD", range=b"bytes=100-").status == 200

    def test_an_empty_file_has_no_ranges(self, files: StaticFiles) -> None:
        assert dict(refusal(files, "/empty.txt", range=b"bytes=0-").fields)[b"content-range"] == b"bytes */0"
        assert ask(files, "/empty.txt", range=b"bytes=-1").status == 200

    def test_if_range_lets_only_the_same_file_be_continued(self, files: StaticFiles) -> None:
        etag = ask(files, "/data.bin").fields[b"etag"]
        for if_range, status in ((etag, 206), (DATE, 206), (b"W/" + etag, 200), (b'"other"', 200)):
            assert ask(files, "/data.bin", range=b"bytes=90-", if_range=if_range).status == status
        # 416 too is only for who has the same file.
        assert ask(files, "/data.bin", range=b"bytes=100-", if_range=b'"other"').status == 200

    def test_beyond_four_gibibytes(self, files: StaticFiles, root: Path) -> None:
        size = 5 * 1024**3
        with (root / "large.bin").open("wb") as file:
            file.truncate(size - 4)
            file.seek(0, os.SEEK_END)
            file.write(b"tail")
        for value in (b"bytes=-4", b"bytes=5368709116-"):
            reply = ask(files, "/large.bin", range=value)
            assert (reply.status, reply.body) == (206, b"tail")
            assert reply.fields[b"content-range"] == b"bytes 5368709116-5368709119/5368709120"
        response = files(Request("GET", "/large.bin", ()))
        assert isinstance(response, Response)
        assert isinstance(response.body, File)
        assert response.body.count == size
        response.body.close()


class TestVariants:
    @pytest.fixture(autouse=True)
    def variants(self, root: Path) -> None:
        for name in ("data.bin.br", "data.bin.zst", "data.bin.gz"):
            (root / name).write_bytes(name.encode())
            os.utime(root / name, (SECONDS, SECONDS))

    @pytest.mark.parametrize(
        ("accepted", "coding", "body"),
        [
            (b"gzip, deflate, br, zstd", b"br", b"data.bin.br"),
            (b"gzip, br;q=0.9", b"gzip", b"data.bin.gz"),
            (b"zstd", b"zstd", b"data.bin.zst"),
            (b"deflate", None, CONTENT),
            (b"*;q=0", None, CONTENT),
            (None, None, CONTENT),
        ],
    )
    def test_the_most_welcome_one_is_sent_and_vary_always(
        self, files: StaticFiles, accepted: bytes | None, coding: bytes | None, body: bytes
    ) -> None:
        fields = {} if accepted is None else {"accept_encoding": accepted}
        reply = ask(files, "/data.bin", "GET", **fields)
        assert (reply.status, reply.body) == (200, body)
        assert reply.fields.get(b"content-encoding") == coding
        assert reply.fields[b"vary"] == b"accept-encoding"
        assert reply.fields[b"content-type"] == b"application/octet-stream"

    def test_each_has_a_tag_of_its_own(self, files: StaticFiles) -> None:
        tags = {
            ask(files, "/data.bin", accept_encoding=coding).fields[b"etag"] for coding in (b"br", b"gzip", b"zstd", b"")
        }
        assert len(tags) == 4

    def test_without_variants_there_is_no_vary(self, files: StaticFiles) -> None:
        assert b"vary" not in ask(files, "/empty.txt", accept_encoding=b"br").fields

    def test_one_that_is_older_than_the_file_is_not_sent(self, files: StaticFiles, root: Path) -> None:
        os.utime(root / "data.bin.br", (SECONDS - 1, SECONDS - 1))
        assert ask(files, "/data.bin", accept_encoding=b"br, gzip").fields[b"content-encoding"] == b"gzip"

    @pytest.mark.parametrize("kind", ["directory", "link", "fifo"])
    def test_one_that_is_no_file_is_passed_over(self, files: StaticFiles, root: Path, kind: str) -> None:
        path = root / "data.bin.br"
        path.unlink()
        match kind:
            case "directory":
                path.mkdir()
            case "link":
                path.symlink_to("../secret.txt")
            case _:
                os.mkfifo(path)
        assert ask(files, "/data.bin", accept_encoding=b"br, gzip").fields[b"content-encoding"] == b"gzip"

    def test_a_range_is_of_the_coded_file_and_several_are_not_made(self, files: StaticFiles) -> None:
        reply = ask(files, "/data.bin", accept_encoding=b"br", range=b"bytes=0-3")
        assert (reply.status, reply.body, reply.fields[b"content-encoding"]) == (206, b"data", b"br")
        assert reply.fields[b"content-range"] == b"bytes 0-3/11"
        assert ask(files, "/data.bin", accept_encoding=b"br", range=b"bytes=0-3,5-6").status == 200

    def test_asked_for_by_its_own_name_it_is_a_file_like_others(self, files: StaticFiles) -> None:
        reply = ask(files, "/data.bin.gz", accept_encoding=b"gzip")
        assert b"content-encoding" not in reply.fields
        assert reply.fields[b"content-type"] == b"application/gzip"


class TestListing:
    def test_it_is_only_there_when_asked_for(self, files: StaticFiles, root: Path) -> None:
        assert refusal(files, "/bare/").status == 404
        reply = ask(StaticFiles(root, listing=True), "/bare/")
        assert reply.status == 200
        assert b"This directory is empty." in reply.body

    def test_the_index_comes_first(self, root: Path) -> None:
        assert ask(StaticFiles(root, listing=True), "/").body == b"<h1>top"

    @pytest.mark.parametrize("target", ["../secret.txt", "nothing"])
    def test_an_index_that_is_not_served_is_none(self, root: Path, target: str) -> None:
        (root / "bare" / "index.html").symlink_to(target)
        assert b"1 file" not in ask(StaticFiles(root, listing=True), "/bare/").body
        assert refusal(StaticFiles(root), "/bare/").status == 404

    def test_it_is_a_page_that_may_load_nothing(self, root: Path) -> None:
        reply = ask(StaticFiles(root, listing=True), "/bare/")
        assert reply.fields == {
            b"content-type": b"text/html; charset=utf-8",
            b"cache-control": b"no-cache",
            b"x-content-type-options": b"nosniff",
            b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'",
            b"referrer-policy": b"same-origin",
        }

    def test_it_is_made_in_a_thread(self, root: Path) -> None:
        coroutine = StaticFiles(root, listing=True)(Request("GET", "/bare/", ()))
        assert not isinstance(coroutine, Response)
        operation = coroutine.send(None)
        assert isinstance(operation, ThreadCall)
        coroutine.close()

    def test_a_query_turns_the_page(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static_entries, "PAGE", 1)
        for name in "ab":
            (root / "bare" / name).touch()
        for target, shown in (("/bare/", b'"./a"'), ("/bare/?page=2", b'"./b"'), ("/bare/?page=x", b'"./a"')):
            assert shown in ask(StaticFiles(root, listing=True), target).body

    def test_a_directory_that_goes_away_meanwhile_is_404(self, root: Path) -> None:
        coroutine = StaticFiles(root, listing=True)(Request("GET", "/bare/", ()))
        (root / "bare").rmdir()
        with pytest.raises(HTTPError) as caught:
            FakeExecutor().run(coroutine)  # type: ignore[arg-type]
        assert (caught.value.status, caught.value.detail) == (404, "There is no such file.")


class TestMounted:
    @pytest.fixture
    def router(self, root: Path) -> Router:
        router = Router()
        router.mount("/my files/", StaticFiles(root, listing=True))
        return router

    def test_locations_have_the_prefix(self, router: Router) -> None:
        assert ask(router, "/my%20files/sub").fields == {b"location": b"/my%20files/sub/"}
        assert ask(router, "/my%20files").fields == {b"location": b"/my%20files/"}

    def test_nothing_above_the_prefix_is_reached(self, router: Router) -> None:
        assert refusal(router, "/my%20files/../my%20files/data.bin").status == 404
        assert ask(router, "/my%20files/sub/../data.bin").status == 200


class Clock:
    """The wall clock, set by hand."""

    def __init__(self) -> None:
        self.now = now()

    def __call__(self) -> float:
        return self.now

    def forward(self) -> None:
        """By as long as anything is remembered."""
        self.now += FRESH


class TestAgain:
    """A file that was asked for a moment ago, and what has become of it since."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def files(self, root: Path, clock: Clock) -> StaticFiles:
        files = StaticFiles(root, now=clock)
        for target in ("/", "/data.bin", "/in.txt", "/sub/", "/sub/index.html"):
            assert ask(files, target).status == 200
        return files

    @pytest.fixture
    def looks(self, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        """The names that are looked for from here on."""
        looked: list[bytes] = []

        def note(name: bytes, mode: int, *, dir_fd: int) -> bool:
            looked.append(name)
            return False

        monkeypatch.setattr(static_paths.os, "access", note)  # type: ignore[attr-defined]
        return looked

    def test_it_is_searched_for_again_only_after_a_moment(
        self, files: StaticFiles, clock: Clock, looks: list[bytes]
    ) -> None:
        clock.now += FRESH - 0.001
        assert ask(files, "/data.bin").body == CONTENT
        assert ask(files, "/sub/").body == b"<h1>sub"
        assert looks == []
        clock.now += 0.001
        assert ask(files, "/data.bin").body == CONTENT
        assert looks == [b"data.bin.br", b"data.bin.zst", b"data.bin.gz"]

    @pytest.mark.parametrize(("bound", "searches"), [(0, 4), (1, 4), (2, 2)])
    def test_as_many_files_are_remembered_as_the_operator_allows(
        self, root: Path, looks: list[bytes], bound: int, searches: int
    ) -> None:
        files = StaticFiles(root, max_known=bound, now=now)
        for target in ("/data.bin", "/index.html") * 2:
            assert ask(files, target).status == 200
        assert len(looks) == 3 * searches

    @pytest.mark.parametrize(
        "fields", [{}, {"range": b"bytes=1-2"}, {"range": b"bytes=0-0,2-2"}, {"if_none_match": b"*"}]
    )
    def test_the_answer_is_the_same(self, files: StaticFiles, root: Path, fields: dict[str, bytes]) -> None:
        replies = [ask(one, "/data.bin", "GET", **fields) for one in (files, StaticFiles(root, now=now))]
        for reply in replies:
            reply.fields.pop(b"content-type", None)  # the boundary
        assert replies[0].fields == replies[1].fields
        assert replies[0].status == replies[1].status

    def test_a_file_that_was_changed_in_place_is_sent_as_it_is(self, files: StaticFiles, root: Path) -> None:
        before = ask(files, "/data.bin")
        (root / "data.bin").write_bytes(b"changed")
        after = ask(files, "/data.bin", if_none_match=before.fields[b"etag"])
        assert (after.status, after.body) == (200, b"changed")
        assert after.fields[b"last-modified"] != DATE

    def test_a_file_that_was_replaced_is_sent_as_it_is(self, files: StaticFiles, root: Path) -> None:
        before = ask(files, "/data.bin")
        (root / "new").write_bytes(CONTENT[::-1])
        os.utime(root / "new", (SECONDS + 1, SECONDS + 1))
        (root / "new").replace(root / "data.bin")
        after = ask(files, "/data.bin")
        assert after.body == CONTENT[::-1]
        assert after.fields[b"etag"] != before.fields[b"etag"]

    def test_a_file_that_was_deleted_is_404_until_it_is_back(self, files: StaticFiles, root: Path) -> None:
        (root / "data.bin").unlink()
        (root / "sub" / "index.html").unlink()
        for target in ("/data.bin", "/data.bin", "/sub/", "/sub/index.html"):
            assert refusal(files, target).status == 404
        (root / "data.bin").write_bytes(b"back")
        assert ask(files, "/data.bin").body == b"back"

    def test_a_variant_that_was_added_is_sent_after_a_moment(
        self, files: StaticFiles, root: Path, clock: Clock
    ) -> None:
        (root / "data.bin.gz").write_bytes(b"gz")
        reply = ask(files, "/data.bin", accept_encoding=b"gzip")
        assert (reply.body, b"vary" in reply.fields) == (CONTENT, False)
        clock.forward()
        reply = ask(files, "/data.bin", accept_encoding=b"gzip")
        assert (reply.body, reply.fields[b"vary"]) == (b"gz", b"accept-encoding")
        reply = ask(files, "/data.bin")
        assert (reply.body, reply.fields[b"vary"]) == (CONTENT, b"accept-encoding")

    def test_a_variant_that_changed_or_went_is_noticed_at_once(
        self, files: StaticFiles, root: Path, clock: Clock
    ) -> None:
        (root / "data.bin.gz").write_bytes(b"gz")
        clock.forward()
        tags = {ask(files, "/data.bin", accept_encoding=b"gzip").fields[b"etag"]}
        (root / "data.bin.gz").write_bytes(b"better")
        reply = ask(files, "/data.bin", accept_encoding=b"gzip")
        assert reply.body == b"better"
        tags.add(reply.fields[b"etag"])
        os.utime(root / "data.bin.gz", (SECONDS - 1, SECONDS - 1))
        reply = ask(files, "/data.bin", accept_encoding=b"gzip")
        assert (reply.body, b"content-encoding" in reply.fields) == (CONTENT, False), "it is older than the file"
        tags.add(reply.fields[b"etag"])
        (root / "data.bin.gz").unlink()
        reply = ask(files, "/data.bin", accept_encoding=b"gzip")
        assert (reply.body, reply.fields[b"vary"]) == (CONTENT, b"accept-encoding")
        assert len(tags) == 3
        clock.forward()
        assert b"vary" not in ask(files, "/data.bin", accept_encoding=b"gzip").fields

    @pytest.mark.parametrize(
        ("target", "body"), [("sub/index.html", b"<h1>sub"), ("../secret.txt", None), ("/etc/passwd", None)]
    )
    def test_a_file_that_has_become_a_link_is_where_that_leads(
        self, files: StaticFiles, root: Path, target: str, body: bytes | None
    ) -> None:
        (root / "data.bin").unlink()
        (root / "data.bin").symlink_to(target)
        for _ in range(2):
            if body is None:
                assert refusal(files, "/data.bin").status == 404
            else:
                assert ask(files, "/data.bin").body == body

    @pytest.mark.parametrize(("target", "body"), [("bare", b"<h1>bare"), ("../outside", None)])
    def test_a_directory_that_has_become_a_link_is_where_that_leads(
        self, files: StaticFiles, root: Path, target: str, body: bytes | None
    ) -> None:
        (root.parent / "outside").mkdir()
        (root.parent / "outside" / "index.html").write_text("secret")
        (root / "bare" / "index.html").write_text("<h1>bare")
        (root / "sub").rename(root / "was")
        (root / "sub").symlink_to(target)
        for path in ("/sub/index.html", "/sub/"):
            if body is None:
                assert refusal(files, path).status == 404
            else:
                assert ask(files, path).body == body

    def test_a_link_that_was_switched_leads_elsewhere_at_once(self, files: StaticFiles, root: Path) -> None:
        (root / "in.txt").unlink()
        (root / "in.txt").symlink_to("data.bin")
        assert ask(files, "/in.txt").body == CONTENT
        (root / "in.txt").unlink()
        (root / "in.txt").symlink_to("../secret.txt")
        assert refusal(files, "/in.txt").status == 404

    def test_a_file_that_has_become_something_else_is_that(self, files: StaticFiles, root: Path) -> None:
        (root / "data.bin").unlink()
        (root / "data.bin").mkdir()
        assert ask(files, "/data.bin").status == 301
        (root / "sub" / "index.html").unlink()
        os.mkfifo(root / "sub" / "index.html")
        assert refusal(files, "/sub/index.html").status == 404
        assert refusal(files, "/sub/").status == 404

    def test_a_root_that_was_moved_is_gone_at_once(self, files: StaticFiles, root: Path) -> None:
        root.rename(root.with_name("old"))
        assert refusal(files, "/data.bin").status == 404
        assert refusal(files, "/sub/index.html").status == 404

    def test_without_descriptors_it_is_503(self, files: StaticFiles) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.open("/", os.O_RDONLY)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        try:
            with pytest.raises(HTTPError) as caught:
                files(Request("GET", "/data.bin", ()))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert caught.value.status == 503


def test_without_descriptors_it_is_503_with_retry_after(files: StaticFiles) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open("/", os.O_RDONLY)
    os.close(spare)  # the lowest number that is free
    for room in range(3):
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + room, hard))
        try:
            with pytest.raises(HTTPError) as caught:
                files(Request("GET", "/sub/index.html", ()))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (caught.value.status, caught.value.detail) == (503, "The server has too many files open.")
        assert caught.value.fields == ((b"retry-after", b"1"),)
    assert ask(files, "/sub/index.html").status == 200


def test_an_input_output_error_is_our_own_fault(files: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> os.stat_result:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(static_paths.os, "fstat", fail)  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="Input/output error"):
            files(Request("GET", "/data.bin", ()))


def test_a_root_that_is_rebuilt_is_served_anew(files: StaticFiles, root: Path) -> None:
    root.rename(root.with_name("old"))
    assert refusal(files, "/data.bin").status == 404
    root.mkdir()
    (root / "data.bin").write_bytes(b"new")
    assert ask(files, "/data.bin").body == b"new"


def test_a_root_that_is_no_directory_is_refused_at_once(root: Path) -> None:
    for path, error in ((root / "nothing", FileNotFoundError), (root / "data.bin", NotADirectoryError)):
        with pytest.raises(error):
            StaticFiles(path)


def test_a_relative_root_stays_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    files = StaticFiles("root")
    monkeypatch.chdir("/")
    assert ask(files, "/data.bin").body == CONTENT
