"""Whom the process belongs to: what cannot be is one line, what is already is nothing, and root gives all of it up."""

import os
import subprocess
import sys

import pytest

from clerestory.server.process.identity import IdentityError, become


@pytest.mark.parametrize(
    ("user", "group", "said"),
    [("no-such-user", "", "there is no such user"), ("", "no-such-group", "there is no such group")],
)
def test_who_is_not_there_is_named(user: str, group: str, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        become(user, group)


def test_who_it_is_already_needs_no_rights() -> None:
    assert not become("", "")
    assert not become(str(os.geteuid()), str(os.getegid()))


BECOME = """
import os
from clerestory.server.process.identity import become
assert become("65534", "65534")
assert os.getresuid() == (65534,) * 3 and os.getresgid() == (65534,) * 3, os.getresuid()
assert 0 not in os.getgroups()
try:
    os.setuid(0)
except PermissionError:
    print("for good")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser becomes somebody else")
def test_the_superuser_gives_up_everything_for_good() -> None:
    done = subprocess.run([sys.executable, "-c", BECOME], capture_output=True, text=True, check=False)
    assert done.stdout == "for good\n", done.stderr


FORBIDDEN = """
import grp, os, pwd
from clerestory.server.process.identity import IdentityError, become
os.setuid(65534)
try:
    become("0", "")
except IdentityError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser becomes somebody else")
def test_others_cannot_and_are_told() -> None:
    done = subprocess.run([sys.executable, "-c", FORBIDDEN], capture_output=True, text=True, check=False)
    assert "for the superuser" in done.stdout, done.stderr
