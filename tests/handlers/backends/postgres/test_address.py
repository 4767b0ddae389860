"""A URL becomes attempts: what libpq can be given without making the loop wait."""

import socket

import pytest
from psycopg import conninfo

from clerestory.handlers.backends.postgres.address import Place, look_up, parse_url


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


def attempts(place: Place, **addresses: list[str]) -> list[tuple[str | None, str | None, str | None]]:
    """(host, hostaddr, port) of each attempt, with a look-up that knows `addresses`."""

    def known(host: str, port: str) -> list[str]:
        if host not in addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return addresses[host]

    parsed = [conninfo.conninfo_to_dict(text) for text in place.attempts(known)]
    assert all(one["client_encoding"] == "UTF8" for one in parsed)
    return [(str(one.get("host")), one.get("hostaddr"), str(one.get("port"))) for one in parsed]  # type: ignore[misc]


def test_an_address_or_a_socket_needs_no_looking_up() -> None:
    for url, host in (
        ("postgresql://127.0.0.1/mail", "127.0.0.1"),
        ("postgres://[::1]/mail", "::1"),
        ("postgresql:///mail?host=/run/postgresql", "/run/postgresql"),
        ("postgresql:///mail?host=@abstract", "@abstract"),
        ("postgresql:///mail", ""),
    ):
        place = parse_url(url)
        assert not place.has_names
        assert [(one[0] or "", *one[1:]) for one in attempts(place)] == [(host, None, "5432")]


def test_each_address_of_a_name_is_an_attempt_of_its_own_and_the_name_stays_for_the_certificate() -> None:
    place = parse_url("postgresql://db.example:6000,10.0.0.9,other:6001/mail")
    assert place.has_names
    assert place.hosts == (("db.example", "6000"), ("10.0.0.9", "5432"), ("other", "6001"))
    known = {"db.example": ["10.0.0.1", "::2"]}
    assert attempts(place, **known) == [
        ("db.example", "10.0.0.1", "6000"),
        ("db.example", "::2", "6000"),
        ("10.0.0.9", None, "5432"),
    ]


def test_a_name_that_nobody_knows_is_an_error_only_where_there_is_no_other() -> None:
    with pytest.raises(socket.gaierror):
        attempts(parse_url("postgresql://nobody.example/mail"))


def test_addresses_that_are_given_are_taken_as_they_are() -> None:
    place = parse_url("postgresql://db.example/mail?hostaddr=10.0.0.1")
    assert not place.has_names
    assert attempts(place) == [("db.example", "10.0.0.1", "None")]


def test_one_port_is_that_of_all_hosts() -> None:
    assert parse_url("postgresql:///x?host=10.0.0.1,10.0.0.2&port=7").hosts == (("10.0.0.1", "7"), ("10.0.0.2", "7"))
    with pytest.raises(ValueError, match="there are 2 hosts and 3 ports"):
        parse_url("postgresql:///x?host=10.0.0.1,10.0.0.2&port=1,2,3")


def test_the_environment_fills_in_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGPORT", "77")
    monkeypatch.setenv("PGDATABASE", "mail")
    place = parse_url("postgresql://")
    assert (place.hosts, place.has_names, str(place)) == ((("db.example", "77"),), True, "db.example:77/mail")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@10.0.0.1:7/mail", "10.0.0.1:7/mail"),
        ("postgresql://[::1]/mail", "[::1]:5432/mail"),
        ("postgresql:///mail", "a local socket/mail"),
        ("postgresql://a,b/mail", "a:5432,b:5432/mail"),
    ],
)
def test_what_people_are_shown_has_no_password(url: str, shown: str) -> None:
    assert str(parse_url(url)) == shown


@pytest.mark.parametrize(
    "url", ["sqlite:///x", "postgresql", "postgresql://me:secret@h/x?no=such", "postgresql://me:secret@[::1/x"]
)
def test_what_is_no_url_is_refused_and_the_password_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"PostgreSQL|postgresql") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_what_would_make_libpq_wait_is_off_unless_asked_for() -> None:
    assert parse_url("postgresql://h/x").parameters["gssencmode"] == "disable"
    assert parse_url("postgresql://h/x?gssencmode=prefer").parameters["gssencmode"] == "prefer"


def test_what_libpq_does_by_itself_knows_every_host() -> None:
    whole = conninfo.conninfo_to_dict(parse_url("postgresql://me@a:1,b:2/x").whole)
    assert (whole["host"], whole["port"], whole["user"], whole["dbname"]) == ("a,b", "1,2", "me", "x")


def test_localhost_is_looked_up_by_the_system() -> None:
    assert "127.0.0.1" in look_up("localhost", "5432") or "::1" in look_up("localhost", "5432")
