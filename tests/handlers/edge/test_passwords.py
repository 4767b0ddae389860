"""Files of hashed passwords: what is taken, what is refused, and what a check says."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.edge.passwords import MOST_USERS, make, matches, read_passwords

bcrypt: Any = import_module("bcrypt")

SALT = b"$2b$04$abcdefghijklmnopqrstuu"  # not a random one: every process that collects tests must find the same
BCRYPT = bcrypt.hashpw(b"correct horse", SALT).decode()
SCRYPT = "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0$DYVTKmTcsLmxMjm/lvSOKhHRXLArdqqHQ8oPmFbh0M8"


def write(tmp_path: Path, text: str) -> str:
    (tmp_path / "users").write_text(text)
    return str(tmp_path / "users")


def test_bcrypt_and_scrypt_and_users_that_there_are_not(tmp_path: Path) -> None:
    made = make("battery staple")
    passwords = read_passwords(write(tmp_path, f"# users\n\nfrances:{BCRYPT}\nada:{made}\nö:{BCRYPT}\n"))
    assert len(passwords) == 3
    assert passwords.check("frances", "correct horse")
    assert passwords.check("ada", "battery staple")
    assert passwords.check("ö", "correct horse")
    for user, password in (("frances", "battery staple"), ("ada", ""), ("nobody", "correct horse"), ("", "")):
        assert not passwords.check(user, password)


def test_htpasswd_writes_2y() -> None:
    assert matches("$2y" + BCRYPT[3:], "correct horse")


def test_a_hash_that_passlib_would_make_is_known() -> None:
    """The parameters and the encoding are those of its `scrypt.using(rounds=10)`."""
    from base64 import b64encode
    from hashlib import scrypt

    expected = (
        b64encode(scrypt("pässword".encode(), salt=b"saltsaltsalt", n=1024, r=8, p=1, dklen=32)).decode().rstrip("=")
    )
    assert matches(f"$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0${expected}", "pässword")
    assert not matches(f"$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0${expected}", "password")


@pytest.mark.parametrize("password", ["x" * 73, "a\0b"])
def test_what_bcrypt_would_look_at_in_part_is_wrong(password: str) -> None:
    hashed = bcrypt.hashpw(password.encode()[:72].split(b"\0")[0], bcrypt.gensalt(4)).decode()
    assert not matches(hashed, password)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no user"),
        ("# only this", "no user"),
        ("frances", "USER:HASH"),
        (":" + BCRYPT, "USER:HASH"),
        ("frances:secret", "htpasswd -B"),
        ("frances:$apr1$abc$def", "htpasswd -B"),
        ("frances:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "htpasswd -B"),
        ("frances:$2y$17$" + "a" * 53, "htpasswd -B"),
        ("frances:" + SCRYPT.replace("ln=10", "ln=9"), "scrypt takes"),
        ("frances:" + SCRYPT.replace("ln=10", "ln=17"), "scrypt takes"),
        ("frances:" + SCRYPT.replace("p=1", "p=17"), "scrypt takes"),
    ],
)
def test_a_file_that_is_of_no_use_says_why_and_not_the_hash(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_passwords(write(tmp_path, line))
    assert "secret" not in str(caught.value)


def test_so_many_users_and_one_more(tmp_path: Path) -> None:
    lines = [f"u{number}:{BCRYPT}" for number in range(MOST_USERS + 1)]
    assert len(read_passwords(write(tmp_path, "\n".join(lines[:-1])))) == MOST_USERS
    with pytest.raises(ValueError, match="more than"):
        read_passwords(write(tmp_path, "\n".join(lines)))


def test_without_the_library_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerestory.handlers.edge.passwords.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="pip install bcrypt"):
        read_passwords(write(tmp_path, f"frances:{BCRYPT}"))
