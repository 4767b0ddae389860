"""Whom the process belongs to: --user and --group, from when the sockets are bound."""

import importlib
import os
from typing import Any


class IdentityError(Exception):
    """The process cannot become that user; the message is one line."""


def become(user: str, group: str) -> bool:
    """Belong to `user` and `group`, by name or number, and to no other group; empty leaves it. Whether anything had to
    be changed. Raises IdentityError."""
    if not user and not group:
        return False
    names: Any = importlib.import_module("pwd")
    groups: Any = importlib.import_module("grp")
    uid, gid, name = os.geteuid(), os.getegid(), ""
    if user:
        try:
            entry = names.getpwuid(int(user)) if user.isdecimal() else names.getpwnam(user)
            uid, gid, name = entry.pw_uid, entry.pw_gid, entry.pw_name
        except KeyError:
            if not user.isdecimal():
                raise IdentityError(f"--user {user}: there is no such user") from None
            uid = int(user)  # a container may run as a number that has no name
    if group:
        try:
            gid = int(group) if group.isdecimal() else groups.getgrnam(group).gr_gid
        except KeyError:
            raise IdentityError(f"--group {group}: there is no such group") from None
    if (uid, gid) == (os.geteuid(), os.getegid()):
        return False
    if os.geteuid() != 0:
        raise IdentityError("--user and --group are for the superuser: start as root, or leave them out")
    try:
        if name:
            os.initgroups(name, gid)
        else:
            os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise IdentityError(f"--user {user}: {error.strerror}") from error
    return True
