"""Validators of a file, and a request's conditions on them (RFC 9110 sections 8.8 and 13).

The entity tag is made from what stays the same when the same bytes are deployed again, or on another machine, with
their time: the modification time, in seconds, and the size, in nginx's format. So a client gets its 304 from every
replica, and after every `rsync --times`, `cp -p` or `tar x`.

A tag and a modification time are strong validators only if that time is so old that no second write can have happened
in the same second (section 8.8.2.2). Until then If-Range with a date does not match, and the tag is made from what
every write changes: the inode, the size, and the times of modification and change in nanoseconds, hashed, to hide the
inode's number. So is the tag of a file with a time that build tools give to every file: 1970 to 1980.

This cannot detect a file of the same size whose time was set back, by hand, to that of another version.
"""

import re
from base64 import urlsafe_b64encode
from calendar import timegm
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from os import stat_result
from time import gmtime
from typing import NamedTuple

from clerestory.handlers.api.messages import Request

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.encode(): number for number, name in enumerate(_MONTHS, 1)}

# RFC 9110 section 5.6.7: the form that is sent, and the two obsolete ones that are also accepted.
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_IMF_FIXDATE = re.compile(
    rb"[A-Z][a-z]{2}, (?P<day>[0-9]{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>[0-9]{4}) %b GMT" % _TIME
)
_RFC_850 = re.compile(rb"[A-Z][a-z]{5,8}, (?P<day>[0-9]{2})-(?P<month>[A-Z][a-z]{2})-(?P<year>[0-9]{2}) %b GMT" % _TIME)
_ASCTIME = re.compile(rb"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ 0-9][0-9]) %b (?P<year>[0-9]{4})" % _TIME)

_CONDITIONS = frozenset({b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"})

# RFC 9110 section 8.8.3; and section 5.6.1 for the list, in which empty elements are accepted.
_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|\Z)')


SETTLED = 2.0
"""Seconds after which no further write can have the same modification time, to the second, with some margin."""

TOLD = 315619200
"""2 January 1980. Earlier times are not real: reproducible builds, Nix and zip archives give one to all files."""


class Validators(NamedTuple):
    """Identifies one version of one representation. `modified` is in whole seconds since the epoch."""

    etag: bytes
    modified: int
    modified_is_strong: bool

    @property
    def last_modified(self) -> bytes:
        return http_date(self.modified)


def validators(status: stat_result, now: float, coding: bytes = b"") -> Validators:
    """The validators of the file that `status` describes, at the wall-clock time `now`; each `coding` has its own."""
    is_strong = now - status.st_mtime >= SETTLED
    if is_strong and status.st_mtime >= TOLD:
        tag = b"%x-%x" % (int(status.st_mtime), status.st_size)
    else:
        facts = b"%d %d %d %d" % (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        tag = urlsafe_b64encode(blake2b(facts, digest_size=12).digest())
    etag = b'"%b-%b"' % (tag, coding) if coding else b'"%b"' % tag
    # RFC 9110 section 8.8.2.1: never later than the response itself. Nor before the epoch, which some file systems
    # allow and some calendar functions do not.
    modified = max(min(int(status.st_mtime), int(now)), 0)
    return Validators(etag, modified, is_strong)


def judge(request: Request, current: Validators, now: Callable[[], float]) -> int:
    """200: send it. 304: the client has it. 412: a condition is not met. For GET and HEAD.

    The order is that of RFC 9110 section 13.2.2; an invalid date is ignored (sections 13.1.3 and 13.1.4).
    """
    if _CONDITIONS.isdisjoint([name for name, _ in request.fields]):
        return 200
    if_match = request.get(b"if-match")
    if if_match is not None:
        # RFC 9110 section 13.1.1: strong comparison
        if not _lists(if_match, current.etag, weak=False):
            return 412
    elif (value := request.get(b"if-unmodified-since")) is not None:
        date = parse_http_date(value, now)
        if date is not None and current.modified > date:
            return 412
    if_none_match = request.get(b"if-none-match")
    if if_none_match is not None:
        # RFC 9110 section 13.1.2: weak comparison
        return 304 if _lists(if_none_match, current.etag, weak=True) else 200
    if (value := request.get(b"if-modified-since")) is not None:
        date = parse_http_date(value, now)
        if date is not None and current.modified <= date:
            return 304
    return 200


def range_applies(request: Request, current: Validators, now: Callable[[], float]) -> bool:
    """Whether Range applies: without If-Range, or if that matches exactly and strongly (RFC 9110 section 13.1.5)."""
    value = request.get(b"if-range")
    if value is None:
        return True
    if value.startswith((b'"', b"W/")):
        return value == current.etag
    return current.modified_is_strong and parse_http_date(value, now) == current.modified


def _lists(value: bytes, etag: bytes, *, weak: bool) -> bool:
    """Whether the list `value` contains `etag`, or is `*`. What follows malformed syntax in the list is ignored."""
    if value == b"*":
        return True
    position = len(value) - len(value.lstrip(b" \t,"))
    while found := _TAG.match(value, position):
        if found[2] == etag and (weak or not found[1]):
            return True
        position = found.end()
    return False


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> bytes:
    """`seconds` since the epoch as an IMF-fixdate (RFC 9110 section 5.6.7)."""
    time = gmtime(seconds)
    day, month = _DAYS[time.tm_wday], _MONTHS[time.tm_mon - 1]
    clock = f"{time.tm_hour:02}:{time.tm_min:02}:{time.tm_sec:02}"
    return f"{day}, {time.tm_mday:02} {month} {time.tm_year:04} {clock} GMT".encode()


def parse_http_date(value: bytes, now: Callable[[], float]) -> int | None:
    """Seconds since the epoch, or None if it is not an HTTP-date. `now` decides the century of two-digit years."""
    found = _IMF_FIXDATE.fullmatch(value) or _ASCTIME.fullmatch(value) or _RFC_850.fullmatch(value)
    if found is None:
        return None
    month = _MONTH_NUMBERS.get(found["month"], 0)
    year, day = int(found["year"]), int(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if len(found["year"]) == 2:
        # RFC 9110 section 5.6.7: a year more than 50 years ahead is in the last century.
        this_year = gmtime(now()).tm_year
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    # The second 60 is a leap second.
    if not (month and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year >= 1):
        return None
    return timegm((year, month, day, hour, minute, second))
