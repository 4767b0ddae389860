"""Nothing outside the root is reached, whatever the path, the links, and what happens meanwhile."""

import errno
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.static.paths import MAX_LINKS, Walk, Way, http_error, locate

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.mark.parametrize(
    ("path", "segments", "is_directory"),
    [
        ("/", [], True),
        ("/a", [b"a"], False),
        ("/a/", [b"a"], True),
        ("/a/b.txt", [b"a", b"b.txt"], False),
        ("/a%20b", [b"a b"], False),
        ("/a+b", [b"a+b"], False),
        ("/a%2520b", [b"a%20b"], False),
        ("/%C3%A4", "ä".encode().split(), False),
        ("/%ff", [b"\xff"], False),
        ("/./a", [b"a"], False),
        ("/a/.", [b"a"], True),
        ("/a/..", [], True),
        ("/a/../b", [b"b"], False),
        ("/a/%2e%2E/b", [b"b"], False),
        ("/a/b/../../c/", [b"c"], True),
        ("/.git/../a", [b"a"], False),
        ("/.well-known", [b".well-known"], False),
        ("/.well-known/acme", [b".well-known", b"acme"], False),
        ("/%2Ewell-known/", [b".well-known"], True),
        ("/a:b;c=d", [b"a:b;c=d"], False),
    ],
)
def test_a_path_is_decoded_once_and_resolved(path: str, segments: list[bytes], is_directory: bool) -> None:
    assert locate(path) == (segments, is_directory)


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../",
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/a/../../etc/passwd",
        "/a/%2E./..%2f",
        "/..%2f..%2fetc%2fpasswd",
        "/%2fetc/passwd",
        "/a%2fb",
        "//",
        "//etc/passwd",
        "/a//b",
        "/a//",
        "/.env",
        "/%2eenv",
        "/a/.git/config",
        "/.well-known/.hidden",
        "/a/.well-known/x",
        "/...",
    ],
)
def test_a_path_to_what_is_not_served_is_404(path: str) -> None:
    with pytest.raises(HTTPError) as caught:
        locate(path)
    assert (caught.value.status, caught.value.detail) == (404, "There is no such file.")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/a%00", "The path has a control byte or a backslash."),
        ("/a%00/../b", "The path has a control byte or a backslash."),
        ("/%0d%0aset-cookie:a", "The path has a control byte or a backslash."),
        ("/a%1f", "The path has a control byte or a backslash."),
        ("/a%7F", "The path has a control byte or a backslash."),
        ("/a\\b", "The path has a control byte or a backslash."),
        ("/..%5c..%5cboot.ini", "The path has a control byte or a backslash."),
        ("/%", "The path has a % that is not followed by two hexadecimal digits."),
        ("/a%2", "The path has a % that is not followed by two hexadecimal digits."),
        ("/a%zz/b", "The path has a % that is not followed by two hexadecimal digits."),
        ("/%u002e", "The path has a % that is not followed by two hexadecimal digits."),
    ],
)
def test_a_path_that_is_not_well_formed_is_400(path: str, detail: str) -> None:
    with pytest.raises(HTTPError) as caught:
        locate(path)
    assert (caught.value.status, caught.value.detail) == (400, detail)


PIECES = ["/", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "%00", "%25", "2e", "a", "b", "link", ".env", "//", "%c0%ae"]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_path_leads_upwards_or_to_a_hidden_name(pieces: list[str]) -> None:
    try:
        segments, _ = locate("/" + "".join(pieces))
    except HTTPError:
        return
    for segment in segments:
        assert segment
        assert not segment.startswith(b".")
        assert not set(b"/\\\0") & set(segment)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path)


def plant(tmp_path: Path) -> Path:
    """A root with a secret beside it, and every kind of link."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").write_text("file")
    (root / ".releases").mkdir()
    (root / ".releases" / "file").write_text("release")
    for link, target in {
        "to_file": "a/b/file",
        "to_directory": "a/b",
        "to_link": "to_directory",
        "a/up": "../a/b/../b/file",
        "a/self": ".",
        "a/top": "..",
        "current": ".releases",
        "dangling": "nothing",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "out_file": "../secret.txt",
        "out_directory": "../outside",
        "out_deep": "a/../../secret.txt",
        "out_and_in": "../root/a/b/file",
        "absolute": str(tmp_path / "secret.txt"),
        "absolute_inside": str(root / "a"),
        "a/out": "../../outside",
    }.items():
        (root / link).symlink_to(target)
    return root


def read(root: Path, path: str) -> bytes | None:
    """The content of the file at `path`, or None for a directory."""
    with Walk(str(root)) as walk:
        if walk.descend(os.fsencode(path).split(b"/")):
            return None
        descriptor, status = walk.open(walk.name)
        try:
            return os.read(descriptor, status.st_size)
        finally:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a/b/file", b"file"),
        ("a", None),
        ("a/b", None),
        ("to_file", b"file"),
        ("to_directory", None),
        ("to_directory/file", b"file"),
        ("to_link/file", b"file"),
        ("a/up", b"file"),
        ("a/self/self/b/file", b"file"),
        ("a/top", None),
        ("a/top/to_file", b"file"),
        ("current/file", b"release"),
    ],
)
def test_files_and_links_within_the_root_are_reached(root: Path, path: str, content: bytes | None) -> None:
    assert read(root, path) == content


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "nothing/file",
        "a/b/file/",
        "a/b/file/x",
        "to_file/x",
        "dangling",
        "dangling/x",
        "loop",
        "loop/x",
        "ping",
        "out_file",
        "out_directory",
        "out_directory/secret.txt",
        "out_deep",
        "out_and_in",
        "absolute",
        "absolute_inside",
        "absolute_inside/b/file",
        "a/out/secret.txt",
        "a/top/out_file",
        "x" * 300,
    ],
)
def test_everything_else_is_missing(root: Path, path: str) -> None:
    names = [name for name in path.split("/") if name] + ([] if not path.endswith("/") else ["x"])
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what matters
        read(root, "/".join(names))
    answer = http_error(caught.value)
    assert answer is not None
    assert (answer.status, answer.detail) == (404, "There is no such file.")


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "b",
                "..",
                "to_link",
                "a/top",
                "a/out",
                "out_file",
                "out_directory",
                "secret.txt",
                "file",
                "absolute",
                "a/self",
                "outside",
                "root",
            ]
        ),
        max_size=8,
    )
)
def test_no_way_leads_to_the_secret(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    base = tmp_path_factory.getbasetemp() / "the_tree"
    if not base.exists():
        base.mkdir()
        plant(base)
    try:
        content = read(base / "root", "/".join(names))
    except OSError:
        return
    assert content in (None, b"file", b"release")


@pytest.mark.parametrize(("length", "reached"), [(MAX_LINKS, True), (MAX_LINKS + 1, False)])
def test_a_chain_of_links_is_followed_as_far_as_the_system_would(root: Path, length: int, reached: bool) -> None:
    (root / "chain0").write_text("end")
    for number in range(length):
        (root / f"chain{number + 1}").symlink_to(f"chain{number}")
    if reached:
        assert read(root, f"chain{length}") == b"end"
    else:
        with pytest.raises(FileNotFoundError):
            read(root, f"chain{length}")


def test_a_fifo_a_socket_and_a_device_are_missing_and_nothing_waits(root: Path) -> None:
    os.mkfifo(root / "fifo")
    names = ["fifo", "socket"]
    server = socket.socket(socket.AF_UNIX)
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(root)  # a socket's path may not be long
        server.bind("socket")
    finally:
        os.fchdir(here)
        os.close(here)
        server.close()
    try:
        os.mknod(root / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: endless
        names.append("device")
    except PermissionError:
        pass
    for name in names:
        with pytest.raises(FileNotFoundError):
            read(root, name)
        with pytest.raises(OSError, match="Invalid argument"):
            read(root, f"{name}/x")


class TestWay:
    """The way that a walk has found, gone again."""

    @staticmethod
    def read(root: Path, *names: str) -> bytes:
        *directories, name = (os.fsencode(name) for name in names)
        descriptor, status = Way(os.fsencode(root), directories).open(name)
        try:
            return os.read(descriptor, status.st_size)
        finally:
            os.close(descriptor)

    def test_it_leads_to_the_file(self, root: Path) -> None:
        (root / "top").write_text("top")
        (root / "a" / "below").write_text("below")
        assert self.read(root, "top") == b"top"
        assert self.read(root, "a", "below") == b"below"
        assert self.read(root, "a", "b", "file") == b"file"

    def test_a_root_may_be_reached_by_a_link(self, root: Path) -> None:
        (root.parent / "link").symlink_to("root")
        assert self.read(root.parent / "link", "a", "b", "file") == b"file"
        assert self.read(Path("/"), *root.parts[1:], "a", "b", "file") == b"file"

    @pytest.mark.parametrize(
        "path",
        [
            *("to_file", "out_file", "absolute", "to_directory/file", "a/self/b/file", "a/top/a/b/file", "a/b/link"),
            *("out_directory/secret.txt", "a/out/secret.txt", "absolute_inside/b/file", "a", "a/b", "a/b/file/x", "x"),
        ],
    )
    def test_no_link_is_followed_and_nothing_but_a_file_is_opened(self, root: Path, path: str) -> None:
        (root / "a" / "b" / "link").symlink_to("file")
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what matters
            self.read(root, *path.split("/"))
        answer = http_error(caught.value)
        assert answer is not None
        assert answer.status == 404

    def test_a_fifo_is_no_file_and_nothing_waits(self, root: Path) -> None:
        os.mkfifo(root / "a" / "fifo")
        with pytest.raises(FileNotFoundError):
            self.read(root, "a", "fifo")


class TestMeanwhile:
    """Somebody changes the tree between our looking and our opening."""

    @staticmethod
    def swap(monkeypatch: pytest.MonkeyPatch, path: Path, replacement: str | None) -> None:
        kind = Walk._kind

        def look_then_swap(walk: Walk, name: bytes) -> int:
            found = kind(walk, name)
            if path.is_symlink() or not path.exists():
                return found
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if replacement is None:
                os.mkfifo(path)
            else:
                path.symlink_to(replacement)
            return found

        monkeypatch.setattr(Walk, "_kind", look_then_swap)

    @pytest.mark.parametrize("replacement", ["../../../secret.txt", "/etc/passwd", "../b2", None])
    def test_a_file_replaced_by_a_link_or_fifo_is_missing(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, replacement: str | None
    ) -> None:
        self.swap(monkeypatch, root / "a" / "b" / "file", replacement)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what matters
            read(root, "a/b/file")
        answer = http_error(caught.value)
        assert answer is not None
        assert answer.status == 404

    @pytest.mark.parametrize("replacement", ["../../outside", "/etc"])
    def test_a_directory_replaced_by_a_link_out_is_missing(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, replacement: str
    ) -> None:
        self.swap(monkeypatch, root / "a" / "b", replacement)
        with pytest.raises(FileNotFoundError):
            read(root, "a/b")

    def test_a_directory_moved_out_does_not_lead_out(self, root: Path) -> None:
        with Walk(str(root)) as walk:
            walk.descend([b"a", b"b"])
            (root / "a" / "b").rename(root.parent / "moved")
            assert walk.descend([b"..", b".."]) is True
            assert walk.status().st_ino == root.stat().st_ino
            with pytest.raises(FileNotFoundError):
                walk.descend([b".."])


@pytest.mark.parametrize(
    ("number", "status"),
    [
        *[(number, 404) for number in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP)],
        *[(number, 404) for number in (errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.ESTALE)],
        *[(number, 503) for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)],
        *[(number, None) for number in (errno.EIO, errno.EBADF)],
    ],
)
def test_a_failed_open_is_404_or_503_or_our_fault(number: int, status: int | None) -> None:
    answer = http_error(OSError(number, ""))
    assert (answer and answer.status) == status
    if status == 503:
        assert answer is not None
        assert answer.fields == ((b"retry-after", b"1"),)


def test_there_is_something_beside_it_or_not(root: Path) -> None:
    with Walk(str(root)) as walk:
        walk.descend([b"a", b"b"])
        assert walk.has(b"file")
        assert not walk.has(b"file.br")


def test_a_root_that_is_no_directory_is_an_error(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Walk(str(root / "a" / "b" / "file"))
    with pytest.raises(FileNotFoundError):
        Walk(str(root / "nothing"))
