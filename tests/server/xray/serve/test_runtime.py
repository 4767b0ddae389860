"""The runtime file: who may read it, what is believed, and that nothing stale is found."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from clerestory.server.xray.serve import runtime
from clerestory.server.xray.serve.runtime import Running, RuntimeFileError, TokenError, find, folders, token_of, write


def running(pid: int | None = None) -> Running:
    return Running(pid or os.getpid(), "http://127.0.0.1:8001/", "the-token", "a trial")


def test_a_file_is_found_again_and_is_for_its_user_alone(own_runtime_folder: Path) -> None:
    path = write(running())
    assert path.parent == own_runtime_folder == folders()[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert find() == [running()]
    runtime.remove(path)
    assert find() == []
    runtime.remove(path)


def test_a_process_writes_its_file_anew() -> None:
    write(running())
    write(Running(os.getpid(), "unix:/x", "another", ""))
    assert [one.token for one in find()] == ["another"]


def test_the_file_of_a_process_that_has_gone_is_ignored_and_removed(own_runtime_folder: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    stale = write(running(int(ended.stdout)))
    assert stale.exists()
    assert find() == []
    assert not stale.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x", "url": "", "token": "", "serving": ""}', "\0"])
def test_a_file_that_makes_no_sense_is_ignored(own_runtime_folder: Path, text: str) -> None:
    write(running())
    (own_runtime_folder / "1.json").write_text(text)
    assert find() == [running()]


def test_a_number_that_another_process_has_now_is_not_ours() -> None:
    write(Running(os.getpid(), "unix:/x", "the-token", "", runtime.born(os.getpid())))
    assert len(find()) == 1
    write(Running(os.getpid(), "unix:/x", "the-token", "", "1"))
    assert find() == []


def test_a_process_of_another_user_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    write(running())
    monkeypatch.setattr(os, "kill", forbidden)
    assert find() == []


def test_a_file_is_there_as_a_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ps` looks while a server starts: what is half written is neither read nor removed."""
    dump, seen = json.dump, []

    def slowly(value: object, file: TextIO) -> None:
        seen.append(find())
        dump(value, file)
        seen.append(find())

    monkeypatch.setattr(json, "dump", slowly)
    write(running())
    assert seen == [[], []]
    assert find() == [running()]


def test_a_server_that_ends_while_we_look_hides_no_other(
    own_runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(running())
    write(running(os.getppid()))
    read = runtime._read

    def ends(path: Path) -> Running | None:
        found = read(path)
        if path.name == f"{os.getppid()}.json":
            path.unlink()
        return found

    monkeypatch.setattr(runtime, "_read", ends)
    assert find() == [running()]


def test_where_there_is_no_place_at_all_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose every file system is read-only."""

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(RuntimeFileError, match="no folder for temporary files"):
        write(running())
    assert find() == []


def test_several_are_found_the_latest_first(own_runtime_folder: Path) -> None:
    write(running())
    write(running(os.getppid()))
    os.utime(own_runtime_folder / f"{os.getpid()}.json", (1, 1))
    assert [one.pid for one in find()] == [os.getppid(), os.getpid()]


def test_a_folder_that_others_can_enter_is_not_trusted(own_runtime_folder: Path) -> None:
    write(running())
    own_runtime_folder.chmod(0o755)
    assert find() == []
    place = write(running()).parent
    assert place == folders()[1]
    place.chmod(0o755)
    with pytest.raises(RuntimeFileError, match="is not a folder that only this user can enter: remove it"):
        write(running())


def test_a_link_in_the_place_of_the_folder_is_not_followed(own_runtime_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    own_runtime_folder.symlink_to(tmp_path / "elsewhere")
    assert find() == []
    assert write(running()).parent == folders()[1]


def test_a_link_in_the_place_of_the_file_is_not_followed(own_runtime_folder: Path, tmp_path: Path) -> None:
    own_runtime_folder.mkdir(mode=0o700)
    (tmp_path / "precious").write_text("precious")
    (own_runtime_folder / f"{os.getpid()}.json").symlink_to(tmp_path / "precious")
    path = write(running())
    assert (tmp_path / "precious").read_text() == "precious"
    assert json.loads(path.read_text())["token"] == "the-token"


def test_without_a_runtime_directory_it_is_below_the_folder_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert write(running()).parent == tmp_path / f"clerestory-{os.getuid()}"
    assert find() == [running()]


def test_an_unusable_runtime_directory_gives_way_to_the_folder_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `sudo -E` or `su` it is another user's, or it is not there."""
    for unusable in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(unusable))
        path = write(running())
        assert path.parent == folders()[1]
        assert find() == [running()]
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")  # `ps` may run where the variable is another
        assert find() == [running()]
        runtime.remove(path)


def test_where_nothing_can_be_written_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "neither"))
    with pytest.raises(RuntimeFileError, match=r"none/.*No such file or directory; .*neither/.*No such file"):
        write(running())
    assert find() == []


@pytest.mark.parametrize("text", ["abc", "abc\n", " abc\t", "\r\nabc\r\n"])
def test_white_space_around_a_token_is_dropped(text: str) -> None:
    """An environment file, or `cat` of a secret, adds a line end."""
    assert token_of(text, "HERE") == "abc"


@pytest.mark.parametrize("text", ["a b", "a\nb", "a\x00b", "w\u00f6rd", "a\x7f"])
def test_a_token_that_no_field_can_hold_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(TokenError, match="HERE must be visible ASCII characters without spaces"):
        token_of(text, "HERE")
