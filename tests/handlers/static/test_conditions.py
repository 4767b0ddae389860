"""Validators and preconditions, in the order of RFC 9110 section 13.2.2."""

import os
import shutil
import time
from calendar import timegm
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.static.conditions import (
    SETTLED,
    TOLD,
    Validators,
    http_date,
    judge,
    parse_http_date,
    range_applies,
    validators,
)

BEFORE, DATE, AFTER = (
    b"Sun, 06 Nov 1994 08:49:36 GMT",
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sun, 06 Nov 1994 08:49:38 GMT",
)
SECONDS = 784111777
FILE = Validators(b'"x"', SECONDS, modified_is_strong=True)


def now() -> float:
    return timegm((2026, 11, 23, 0, 0, 0))


def conditions(**fields: bytes) -> Fields:
    return tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, 200),
        ({"accept": b'"x"'}, 200),
        # If-Match: strong
        ({"if_match": b'"x"'}, 200),
        ({"if_match": b'"y", "x"'}, 200),
        ({"if_match": b'"y" ,, "x",'}, 200),
        ({"if_match": b"*"}, 200),
        ({"if_match": b'"y"'}, 412),
        ({"if_match": b'W/"x"'}, 412),
        ({"if_match": b'"X"'}, 412),
        ({"if_match": b"x"}, 412),
        ({"if_match": b""}, 412),
        # If-Unmodified-Since: only without If-Match
        ({"if_unmodified_since": DATE}, 200),
        ({"if_unmodified_since": AFTER}, 200),
        ({"if_unmodified_since": BEFORE}, 412),
        ({"if_unmodified_since": b"yesterday"}, 200),
        ({"if_match": b'"x"', "if_unmodified_since": BEFORE}, 200),
        # If-None-Match: weak
        ({"if_none_match": b'"x"'}, 304),
        ({"if_none_match": b'W/"x"'}, 304),
        ({"if_none_match": b'"a,b", W/"x"'}, 304),
        ({"if_none_match": b"*"}, 304),
        ({"if_none_match": b'"y"'}, 200),
        ({"if_none_match": b"x"}, 200),
        ({"if_none_match": b'"y" "x"'}, 200),
        ({"if_none_match": b'w/"x"'}, 200),
        # If-Modified-Since: only without If-None-Match
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": AFTER}, 304),
        ({"if_modified_since": BEFORE}, 200),
        ({"if_modified_since": b"Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
        ({"if_modified_since": b"Sun Nov  6 08:49:37 1994"}, 304),
        ({"if_modified_since": b"0"}, 200),
        ({"if_none_match": b'"y"', "if_modified_since": AFTER}, 200),
        ({"if_none_match": b'"x"', "if_modified_since": BEFORE}, 304),
        # the first of them decides
        ({"if_match": b'"y"', "if_none_match": b'"x"'}, 412),
        ({"if_match": b'"x"', "if_none_match": b'"x"'}, 304),
        ({"if_unmodified_since": BEFORE, "if_modified_since": AFTER}, 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_conditions_are_judged_in_their_order(method: str, fields: dict[str, bytes], verdict: int) -> None:
    assert judge(Request(method, "/", conditions(**fields)), FILE, now) == verdict


def test_several_fields_of_one_name_are_one_list() -> None:
    fields = ((b"if-none-match", b'"y"'), (b"if-none-match", b'"x"'))
    assert judge(Request("GET", "/", fields), FILE, now) == 304


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        (b'"x"', True),
        (b'"y"', False),
        (b'W/"x"', False),
        (b'"x", "y"', False),
        (DATE, True),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", True),
        (BEFORE, False),
        (AFTER, False),
        (b"", False),
        (b"*", False),
    ],
)
def test_if_range_is_exact(value: bytes, applies: bool) -> None:
    assert range_applies(Request("GET", "/", ((b"if-range", value),)), FILE, now) is applies


def test_without_if_range_the_range_applies() -> None:
    assert range_applies(Request("GET", "/", ()), FILE, now)


def test_a_weak_date_does_not_satisfy_if_range() -> None:
    young = FILE._replace(modified_is_strong=False)
    assert not range_applies(Request("GET", "/", ((b"if-range", DATE),)), young, now)
    assert range_applies(Request("GET", "/", ((b"if-range", b'"x"'),)), young, now)


class TestValidators:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        path.write_bytes(b"one")
        os.utime(path, (SECONDS, SECONDS))
        return path

    @staticmethod
    def etag(path: Path) -> bytes:
        return validators(path.stat(), now()).etag

    def test_a_tag_is_strong_and_stays(self, path: Path) -> None:
        tag = self.etag(path)
        assert tag.startswith(b'"')
        assert tag.endswith(b'"')
        assert tag == self.etag(path)

    def test_a_tag_differs_by_coding(self, path: Path) -> None:
        assert validators(path.stat(), now(), b"br").etag == self.etag(path)[:-1] + b'-br"'

    def test_growing_truncating_and_replacing_change_the_tag(self, path: Path) -> None:
        tags = [self.etag(path)]
        with path.open("ab") as file:
            file.write(b"more")
        tags.append(self.etag(path))
        os.truncate(path, 1)
        tags.append(self.etag(path))
        other = path.with_name("other")
        other.write_bytes(b"two")
        os.utime(other, (SECONDS + 1, SECONDS + 1))
        other.replace(path)
        tags.append(self.etag(path))
        assert len(set(tags)) == len(tags)

    def test_the_same_bytes_deployed_again_with_their_time_have_the_same_tag(self, path: Path) -> None:
        """RFC 9110 section 8.8.3: origin servers that are replicas agree. It is the tag that nginx gives."""
        tag = self.etag(path)
        assert tag == b'"%x-3"' % SECONDS
        other = path.with_name("other")
        shutil.copy2(path, other)
        os.utime(other, ns=(0, SECONDS * 10**9 + 123_456_789))  # an archive does not keep fractions
        assert other.stat().st_ino != path.stat().st_ino
        assert self.etag(other) == tag
        other.replace(path)
        assert self.etag(path) == tag

    def test_a_file_of_another_second_or_size_has_another_tag(self, path: Path) -> None:
        tags = [self.etag(path)]
        os.utime(path, (SECONDS + 1, SECONDS + 1))
        tags.append(self.etag(path))
        path.write_bytes(b"four")
        os.utime(path, (SECONDS, SECONDS))
        tags.append(self.etag(path))
        assert len(set(tags)) == 3

    @pytest.mark.parametrize("at", [now(), now() - SETTLED + 0.1, now() + 1000, 0, 1, TOLD - 1])
    def test_while_a_time_tells_no_version_every_write_changes_the_tag(self, path: Path, at: float) -> None:
        """RFC 9110 section 8.8.1: a strong validator changes with the data; a time that a second write may share, or
        that a build gives to every file, does not."""
        os.utime(path, (at, at))
        tag, change = self.etag(path), path.stat().st_ctime_ns
        while path.stat().st_ctime_ns == change:  # until the kernel's clock has ticked
            path.write_bytes(b"two")
            os.utime(path, (at, at))
        assert self.etag(path) != tag

    def test_the_tag_of_a_file_that_has_settled_stays(self, path: Path) -> None:
        os.utime(path, (now() - SETTLED, now() - SETTLED))
        first = validators(path.stat(), now()).etag
        assert first == validators(path.stat(), now() + 1000).etag != validators(path.stat(), now() - 1).etag

    @pytest.mark.parametrize(
        ("age", "modified", "strong"),
        [(100.0, -100, True), (2.0, -2, True), (1.9, -2, False), (0.0, 0, False), (-1000.0, 0, False)],
    )
    def test_a_date_is_strong_once_its_second_is_over_and_never_in_the_future(
        self, path: Path, age: float, modified: int, strong: bool
    ) -> None:
        os.utime(path, (now() - age, now() - age))
        found = validators(path.stat(), now())
        assert (found.modified, found.modified_is_strong) == (now() + modified, strong)

    def test_a_date_before_the_epoch_is_the_epoch(self, path: Path) -> None:
        os.utime(path, (-5, -5))
        assert validators(path.stat(), now()).last_modified == b"Thu, 01 Jan 1970 00:00:00 GMT"

    def test_last_modified_is_an_imf_fixdate(self, path: Path) -> None:
        assert validators(path.stat(), now()).last_modified == DATE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (DATE, SECONDS),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", SECONDS),
        (b"Sun Nov  6 08:49:37 1994", SECONDS),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (b"Wed, 31 Dec 1969 23:59:59 GMT", -1),
        (b"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),
        (b"Friday, 01-Jan-76 00:00:00 GMT", timegm((2076, 1, 1, 0, 0, 0))),
        (b"Saturday, 01-Jan-77 00:00:00 GMT", timegm((1977, 1, 1, 0, 0, 0))),
        (b"", None),
        (b"784111777", None),
        (b"Sun, 06 Nov 1994 08:49:37", None),
        (b"Sun, 06 Nov 1994 08:49:37 UTC", None),
        (b"Sun, 06 Nov 1994 08:49:37 +0000", None),
        (b"Sun, 6 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 06 nov 1994 08:49:37 GMT", None),
        (b"Sun, 06 Foo 1994 08:49:37 GMT", None),
        (b"Sun, 00 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 32 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 24:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:60:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:61 GMT", None),
        (b"Sun, 06 Nov 0000 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:37 GMT\n", None),
    ],
)
def test_the_three_forms_of_a_date_are_read_and_no_other(value: bytes, seconds: int | None) -> None:
    assert parse_http_date(value, now) == seconds


@given(st.integers(0, 253402300799))
def test_a_date_that_is_written_is_read_as_the_same(seconds: int) -> None:
    assert parse_http_date(http_date(seconds), now) == seconds
    assert http_date(seconds) == time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds)).encode()


@given(st.binary(max_size=60))
def test_no_value_of_a_condition_is_an_error(value: bytes) -> None:
    for name in ("if_match", "if_unmodified_since", "if_none_match", "if_modified_since"):
        assert judge(Request("GET", "/", conditions(**{name: value})), FILE, now) in (200, 304, 412)
    range_applies(Request("GET", "/", ((b"if-range", value),)), FILE, now)
