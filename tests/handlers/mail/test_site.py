"""The mail site: every path, every refusal with the field's name, and the bounds. The same on both databases."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends.postgres.database import Database as PostgresDatabase
from clerestory.handlers.backends.sqlite import Database
from clerestory.handlers.mail import site as mail
from clerestory.handlers.mail.postgres import PostgresMail
from clerestory.handlers.mail.site import MAX_ECHO, MAX_EMAIL_BODY, MAX_LENGTHS, mail_site, parse_json, read_page
from clerestory.handlers.mail.sqlite import SQLiteMail
from clerestory.handlers.mail.store import FieldError
from clerestory.handlers.router import Router
from tests.handlers.running import PATIENCE, FakeExecutor, FakeLoop, TurningLoop
from tests.support.postgres import Cluster


@dataclass
class Site:
    """A site, and the loop that its operations run on."""

    router: Router
    loop: FakeLoop | TurningLoop


@pytest.fixture
def in_memory() -> Iterator[Database]:
    database = Database("sqlite://")
    yield database
    assert database.close(PATIENCE) == []


@pytest.fixture(scope="module")
def in_postgres(postgres: Cluster) -> str:
    """The URL of a database with the samples, that all these tests use one after the other."""
    url = postgres.url(postgres.new_database())
    database = PostgresDatabase(url)
    PostgresMail(database, with_samples=True)
    database.close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "sqlite":
        yield Site(mail_site(SQLiteMail(request.getfixturevalue("in_memory"))), FakeLoop())
        return
    database = PostgresDatabase(request.getfixturevalue("in_postgres"))
    restore(database)
    loop = TurningLoop()
    yield Site(mail_site(PostgresMail(database)), loop)
    loop.close()
    database.close()


def restore(database: PostgresDatabase) -> None:
    """Make the samples all that there is."""

    def delete(connection: "psycopg.Connection[Any]") -> None:
        connection.execute("DELETE FROM deliveries; UPDATE inboxes SET count = 0 WHERE count > 0")
        connection.execute("DELETE FROM emails WHERE id > 1000; UPDATE mail_totals SET emails = 1000")

    database.prepare(delete)


def send(site: Site, method: str, target: str, body: bytes = b"", *, chunked: bool = False) -> Response:
    request = Request(method, target, (), content_length=None if chunked else len(body), authority=b"a.example")
    pieces = [body[:3], body[3:]] if body else []
    return FakeExecutor(site.loop, pieces=pieces).answer(site.router, request)


def ask(site: Site, method: str, target: str, value: object = None) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    response = send(site, method, target, b"" if value is None else json.dumps(value).encode())
    assert (b"content-type", b"application/json") in response.fields
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def problem(site: Site, method: str, target: str, body: bytes) -> tuple[int, str | None, str]:
    """The status, field and detail of a refusal."""
    response = send(site, method, target, body)
    assert isinstance(response.body, bytes)
    members = json.loads(response.body)
    assert list(members) == ["status", "error", "detail", "field"]
    assert members["status"] == response.status
    return response.status, members["field"], members["detail"]


def test_the_front_page_is_html_for_the_host_that_was_asked(site: Site) -> None:
    response = send(site, "GET", "/")
    assert response.status == 200
    assert dict(response.fields) == {
        b"content-type": b"text/html; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-content-type-options": b"nosniff",
        b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'",
    }
    assert isinstance(response.body, bytes)
    assert b"curl http://a.example/emails/42" in response.body


def test_email_42_says_hello(site: Site) -> None:
    status, email = ask(site, "GET", "/emails/42")
    assert status == 200
    assert list(email) == ["id", "subject", "sender", "body"]
    assert (email["id"], email["subject"]) == (42, "hello")


@pytest.mark.parametrize("number", [0, 1001, (1 << 63) - 1])
def test_an_email_that_is_not_there_is_404(site: Site, number: int) -> None:
    detail = f"There is no email {number}."
    assert problem(site, "GET", f"/emails/{number}", b"") == (404, "id", detail)


def test_a_number_that_is_none_is_no_path(site: Site) -> None:
    with pytest.raises(HTTPError) as caught:
        ask(site, "GET", "/emails/9223372036854775808")
    assert caught.value.status == 404


class TestListing:
    def test_the_first_twenty_without_their_bodies(self, site: Site) -> None:
        status, page = ask(site, "GET", "/emails")
        assert status == 200
        assert [email["id"] for email in page["emails"]] == list(range(1, 21))
        assert set(page["emails"][0]) == {"id", "subject", "sender"}
        assert page["next"] == "/emails?limit=20&after=20"

    def test_following_next_comes_to_the_end(self, site: Site) -> None:
        target, numbers = "/emails?limit=99", []
        while target:
            _, page = ask(site, "GET", target)
            numbers += [email["id"] for email in page["emails"]]
            target = page["next"]
        assert numbers == list(range(1, 1001))

    def test_next_has_the_prefix_of_a_mount(self, site: Site) -> None:
        router = Router()
        router.mount("/mail", site.router)
        assert (
            ask(replace(site, router=router), "GET", "/mail/emails?limit=1")[1]["next"]
            == "/mail/emails?limit=1&after=1"
        )

    @pytest.mark.parametrize(
        ("query", "page"),
        [
            ("", (20, 0)),
            ("limit=1", (1, 0)),
            ("limit=100&after=5", (100, 5)),
            ("after=9223372036854775807", (20, (1 << 63) - 1)),
            ("after=%30", (20, 0)),
        ],
    )
    def test_limit_and_after_are_read(self, query: str, page: tuple[int, int]) -> None:
        assert read_page(query) == page

    @pytest.mark.parametrize(
        ("query", "field", "detail"),
        [
            ("limit=0", "limit", "limit must be an integer from 1 to 100."),
            ("limit=101", "limit", "limit must be an integer from 1 to 100."),
            ("limit=", "limit", "limit must be an integer from 1 to 100."),
            ("limit", "limit", "limit must be an integer from 1 to 100."),
            ("limit=-1", "limit", "limit must be an integer from 1 to 100."),
            ("limit=1_0", "limit", "limit must be an integer from 1 to 100."),
            ("limit=%D9%A1", "limit", "limit must be an integer from 1 to 100."),
            ("after=9223372036854775808", "after", "after must be an integer from 0 to 9223372036854775807."),
            ("after=" + "1" * 5000, "after", "after must be an integer from 0 to 9223372036854775807."),
            ("after=1&after=1", "after", "after is given twice."),
            ("offset=1", "offset", "Unknown parameter 'offset'; the parameters are limit and after."),
            ("%ff=1", "\ufffd", "Unknown parameter '\ufffd'; the parameters are limit and after."),
        ],
    )
    def test_a_wrong_parameter_is_named(self, site: Site, query: str, field: str, detail: str) -> None:
        assert problem(site, "GET", f"/emails?{query}", b"") == (400, field, detail)


EMAIL = {"sender": "me@example.org", "subject": "news", "body": "It works.\n"}


class TestPosting:
    def test_a_new_email_is_there(self, site: Site) -> None:
        response = send(site, "POST", "/emails", json.dumps(EMAIL).encode())
        assert response.status == 201
        assert dict(response.fields)[b"location"] == b"/emails/1001"
        assert isinstance(response.body, bytes)
        assert json.loads(response.body) == {"id": 1001, **EMAIL}
        assert ask(site, "GET", "/emails/1001") == (200, {"id": 1001, **EMAIL})

    def test_a_chunked_body_is_as_good(self, site: Site) -> None:
        assert send(site, "POST", "/emails", json.dumps(EMAIL).encode(), chunked=True).status == 201

    @pytest.mark.parametrize(
        ("change", "field", "detail"),
        [
            ({"sender": 1}, "sender", "sender must be a string, not a number."),
            ({"subject": None}, "subject", "subject must be a string, not null."),
            ({"subject": True}, "subject", "subject must be a string, not a boolean."),
            ({"body": ["x"]}, "body", "body must be a string, not an array."),
            ({"body": {}}, "body", "body must be a string, not an object."),
            ({"subject": ""}, "subject", "subject is empty."),
            ({"subject": " \t"}, "subject", "subject is empty."),
            ({"subject": "a\nb"}, "subject", "subject has a control character or half of a surrogate pair."),
            ({"sender": "a\0"}, "sender", "sender has a control character or half of a surrogate pair."),
            ({"body": "a\0"}, "body", "body has a control character or half of a surrogate pair."),
            ({"body": "\ud800"}, "body", "body has a control character or half of a surrogate pair."),
            ({"cc": "x"}, "cc", "Unknown member 'cc'; expected sender, subject, body."),
            ({"\ud800": "x"}, "\ufffd", "Unknown member '\ufffd'; expected sender, subject, body."),
        ],
    )
    def test_a_wrong_member_is_named(self, site: Site, change: dict[str, Any], field: str, detail: str) -> None:
        body = json.dumps(EMAIL | change).encode()
        assert problem(site, "POST", "/emails", body) == (422, field, detail)

    @pytest.mark.parametrize("name", list(EMAIL))
    def test_a_missing_member_is_named(self, site: Site, name: str) -> None:
        body = json.dumps({key: value for key, value in EMAIL.items() if key != name}).encode()
        assert problem(site, "POST", "/emails", body) == (422, name, f"{name} is missing.")

    @pytest.mark.parametrize("name", list(EMAIL))
    def test_the_longest_text_passes_and_one_character_more_is_refused(self, site: Site, name: str) -> None:
        longest = MAX_LENGTHS[name]
        assert ask(site, "POST", "/emails", EMAIL | {name: "ä" * longest})[0] == 201
        detail = f"{name} has {longest + 1} characters; it may have {longest}."
        body = json.dumps(EMAIL | {name: "ä" * (longest + 1)}).encode()
        assert problem(site, "POST", "/emails", body) == (422, name, detail)

    def test_the_longest_texts_fit_however_they_are_escaped(self) -> None:
        longest = json.dumps({name: "ä" * length for name, length in MAX_LENGTHS.items()})
        assert len(longest) < MAX_EMAIL_BODY

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b"", "The body is not JSON: Expecting value at line 1, column 1."),
            (b"{", "The body is not JSON: Expecting property name enclosed in double quotes at line 1, column 2."),
            (b"{}\n{}", "The body is not JSON: Extra data at line 2, column 1."),
            (b"\xff", "The body is not JSON: byte 0 is not UTF-8."),
            (b'"\xed\xa0\x80"', "The body is not JSON: byte 1 is not UTF-8."),
            (b"NaN", "The body is not JSON: NaN is not a JSON value."),
            (b"[-Infinity]", "The body is not JSON: -Infinity is not a JSON value."),
            (b"[" * 60_000, "The JSON in the body is nested too deeply."),
            (b"9" * 60_000, "A number in the JSON of the body is too long."),
        ],
    )
    def test_what_is_no_json_is_400(self, site: Site, body: bytes, detail: str) -> None:
        assert problem(site, "POST", "/emails", body) == (400, None, detail)

    def test_a_byte_order_mark_is_no_json(self, site: Site) -> None:
        status, _, detail = problem(site, "POST", "/emails", b"\xef\xbb\xbf{}")
        assert status == 400
        assert "BOM" in detail

    @pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1", b"true"])
    def test_what_is_no_object_is_422(self, site: Site, body: bytes) -> None:
        detail = "The body must be a JSON object with sender, subject, body."
        assert problem(site, "POST", "/emails", body) == (422, None, detail)

    def test_a_member_that_is_there_twice_is_400(self, site: Site) -> None:
        body = b'{"subject": "a", "subject": "b"}'
        assert problem(site, "POST", "/emails", body) == (400, "subject", "The member 'subject' is given twice.")

    def test_the_longest_body_passes_and_one_byte_more_is_413(self, site: Site) -> None:
        body = json.dumps(EMAIL).encode()
        assert send(site, "POST", "/emails", body + b" " * (MAX_EMAIL_BODY - len(body))).status == 201
        with pytest.raises(HTTPError) as caught:
            send(site, "POST", "/emails", body + b" " * (MAX_EMAIL_BODY - len(body) + 1))
        assert (caught.value.status, caught.value.detail) == (413, "The body may have at most 131072 bytes here.")


class TestInboxes:
    def test_putting_an_email_there(self, site: Site) -> None:
        expected = {"recipient": "ada", "email_id": 42, "count": 1, "capacity": 100}
        assert ask(site, "POST", "/inboxes/ada", {"email_id": 42}) == (201, expected)
        status, inbox = ask(site, "GET", "/inboxes/ada")
        assert (status, inbox["count"], [email["id"] for email in inbox["emails"]]) == (200, 1, [42])

    @pytest.mark.parametrize(
        ("recipient", "number", "expected"),
        [
            ("ada", 42, (409, "email_id", "Email 42 is already in the inbox of ada.")),
            ("ada", 5000, (404, "email_id", "There is no email 5000.")),
            ("nobody", 42, (404, "recipient", "There is no inbox for nobody.")),
            ("tiny", 42, (507, "recipient", "The inbox of tiny is full: it has room for 3 emails.")),
        ],
    )
    def test_what_cannot_be_put_there(
        self, site: Site, recipient: str, number: int, expected: tuple[int, str, str]
    ) -> None:
        ask(site, "POST", "/inboxes/ada", {"email_id": 42})
        for filling in (1, 2, 3):
            assert ask(site, "POST", "/inboxes/tiny", {"email_id": filling})[0] == 201
        body = json.dumps({"email_id": number}).encode()
        assert problem(site, "POST", f"/inboxes/{recipient}", body) == expected

    @pytest.mark.parametrize(
        ("value", "detail"),
        [
            ("true", "email_id must be an integer, not a boolean."),
            ("1.0", "email_id must be an integer, not a floating-point number."),
            ("1e3", "email_id must be an integer, not a floating-point number."),
            ('"1"', "email_id must be an integer, not a string."),
            ("null", "email_id must be an integer, not null."),
            ("[1]", "email_id must be an integer, not an array."),
            ("0", "email_id must be from 1 to 9223372036854775807."),
            ("-1", "email_id must be from 1 to 9223372036854775807."),
            ("9223372036854775808", "email_id must be from 1 to 9223372036854775807."),
        ],
    )
    def test_a_number_of_the_wrong_kind_is_named(self, site: Site, value: str, detail: str) -> None:
        body = b'{"email_id": %b}' % value.encode()
        assert problem(site, "POST", "/inboxes/ada", body) == (422, "email_id", detail)

    def test_the_largest_number_is_only_not_there(self, site: Site) -> None:
        assert problem(site, "POST", "/inboxes/ada", b'{"email_id": 9223372036854775807}')[0] == 404

    def test_members_are_exact(self, site: Site) -> None:
        missing = problem(site, "POST", "/inboxes/ada", b"{}")
        assert missing == (422, "email_id", "email_id is missing.")
        unknown = problem(site, "POST", "/inboxes/ada", b'{"email_id": 1, "id": 1}')
        assert unknown == (422, "id", "Unknown member 'id'; expected email_id.")

    def test_an_inbox_that_is_not_there(self, site: Site) -> None:
        assert problem(site, "GET", "/inboxes/nobody", b"") == (404, "recipient", "There is no inbox for nobody.")

    def test_a_full_database_is_503(self, in_memory: Database) -> None:
        site = Site(mail_site(SQLiteMail(in_memory)), FakeLoop())
        assert in_memory._writer is not None
        in_memory._writer.execute("PRAGMA max_page_count = 1")
        email = EMAIL | {"body": "x" * MAX_LENGTHS["body"]}  # more than a page
        with pytest.raises(HTTPError) as caught:
            ask(site, "POST", "/emails", email)
        assert (caught.value.status, caught.value.detail) == (503, "The database is full.")


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/emails", b"GET, HEAD, OPTIONS, POST"),
        ("BREW", "/emails", None),
        ("POST", "/emails/42", b"GET, HEAD, OPTIONS"),
        ("POST", "/", b"GET, HEAD, OPTIONS"),
        ("GET", "/echo", b"OPTIONS, POST"),
    ],
)
def test_other_methods_are_refused(site: Site, method: str, target: str, allow: bytes | None) -> None:
    with pytest.raises(HTTPError) as caught:
        ask(site, method, target)
    assert caught.value.status == (501 if allow is None else 405)
    assert caught.value.fields == (() if allow is None else ((b"allow", allow),))


def test_echo_is_here_with_a_limit_of_its_own(site: Site) -> None:
    request = Request("POST", "/echo", ((b"content-type", b"text/plain"),), content_length=None)
    executor = FakeExecutor(pieces=[b"a", b"b"])
    assert executor.pieces_of(executor.answer(site.router, request)) == [b"a", b"b"]
    assert request.body_limit == MAX_ECHO


def test_a_stored_site_begins_empty_and_keeps_what_it_gets(tmp_path: Path) -> None:
    for expected in ([], [1]):
        database = Database(f"sqlite:///{tmp_path}/mail.db")
        site = Site(mail_site(SQLiteMail(database)), FakeLoop())
        assert [email["id"] for email in ask(site, "GET", "/emails")[1]["emails"]] == expected
        front = send(site, "GET", "/").body
        assert isinstance(front, bytes)
        assert b"The messages are kept in mail.db." in front
        assert str(tmp_path).encode() not in front
        assert ask(site, "POST", "/emails", EMAIL)[0] == 201
        assert database.close(PATIENCE) == []


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/theirs.db")
    database.prepare(lambda connection: connection.execute("CREATE TABLE theirs (x)").close())
    with pytest.raises(ValueError, match="not a mail database"):
        SQLiteMail(database)
    assert database.close(PATIENCE) == []


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0123456789.eE+-truefalsn\\u ', max_size=100).map(str.encode))
def test_no_body_is_an_error_of_ours(body: bytes) -> None:
    try:
        parse_json(body)
    except FieldError as error:
        assert error.status == 400  # noqa: PT017 - most are no JSON, some are


def test_every_path_of_the_site_is_in_its_description(site: Site) -> None:
    front = send(site, "GET", "/").body
    assert isinstance(front, bytes)
    for path in ("/emails", "/emails/42", "/inboxes/", "/echo"):
        assert path in (mail.__doc__ or "").replace("{number}", "42").replace("{recipient}", "")
        assert path.encode() in front
