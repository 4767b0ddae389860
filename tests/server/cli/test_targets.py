"""TARGET: what is named is served, and what cannot be says why in one line."""

import sqlite3
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.backends.sqlite import Database
from clerestory.handlers.backends.upstream.origins import Origin
from clerestory.handlers.proxy.proxy import Proxy
from clerestory.handlers.router import Router
from clerestory.handlers.static.extras import Extras
from clerestory.handlers.static.files import StaticFiles
from clerestory.server.cli.arguments import parse
from clerestory.server.cli.targets import Dress, Origins, TargetError, resolve
from clerestory.server.config import Limits
from tests.support.postgres import Cluster

NUMBERS = count()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def module(here: Path, source: str) -> str:
    """A module with that source in the current directory; its name, which no other test uses."""
    name = f"application_{next(NUMBERS)}"
    (here / f"{name}.py").write_text(source)
    return name


def refusal(target: str | None, **options: Any) -> str:
    with pytest.raises(TargetError) as caught:
        resolve(target, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- an application


def test_an_attribute_of_a_module_here_is_an_application(here: Path) -> None:
    name = module(here, "def app(request): return 'answered'")
    found = resolve(f"{name}:app")
    assert found.application(Request("GET", "/", ())) == "answered"  # type: ignore[comparison-overlap]
    assert found.description == f"the application {name}:app"
    found.close()


def test_an_application_may_lie_deeper(here: Path) -> None:
    (here / "package").mkdir()
    (here / "package" / "inner.py").write_text(
        "class Site:\n    def __call__(self, request): ...\nclass A: site = Site()"
    )
    assert callable(resolve("package.inner:A.site").application)


def test_a_module_that_is_not_there_is_named_with_the_place_searched(here: Path) -> None:
    assert refusal("nowhere:app") == f"there is no module nowhere in {here}, nor is one installed"
    assert refusal("nowhere.inner:app") == f"there is no module nowhere in {here}, nor is one installed"
    assert "no module json.nowhere" in refusal("json.nowhere:app")


def test_a_missing_attribute_suggests_one_that_is_there(here: Path) -> None:
    name = module(here, "def router(request): ...")
    assert refusal(f"{name}:ruoter") == f"{name} has no attribute ruoter; did you mean router?"
    assert refusal(f"{name}:zzz") == f"{name} has no attribute zzz"


def test_what_cannot_be_called_is_named_by_its_type(here: Path) -> None:
    name = module(here, "app = 42")
    assert refusal(f"{name}:app") == f"{name}:app is of type int and cannot be called with a request"


def test_a_class_is_not_an_application() -> None:
    said = "clerestory:Router is a class: name an instance of it, or a function that makes one, with --factory"
    assert refusal("clerestory:Router") == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\nraise ValueError('no\\nluck')", "line 2: ValueError: no\nluck"),
        ("\n\nimport nowhere_at_all", "line 3: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit", "line 1: SystemExit"),
        ("\ndef f(:\n", "line 2: SyntaxError: invalid syntax"),
        (
            "from clerestory import Router\nrouter = Router()\n\n@router.get('todo')\ndef f(request): ...\n",
            "line 4: ValueError: route 'todo' does not begin with a slash",
        ),
        (
            "from clerestory.handlers.api.messages import json_response\njson_response({1})",
            "line 2: TypeError: Object of type set",
        ),
    ],
)
def test_a_module_that_raises_is_told_with_its_own_line(source: str, said: str, here: Path) -> None:
    """Where one of our functions raises, as for a wrong route, the line is the application's that called it."""
    name = module(here, source)
    with pytest.raises(TargetError) as caught:
        resolve(f"{name}:app")
    assert str(caught.value).startswith(f"{name} cannot be imported: {here / name}.py, {said}")


def test_a_source_that_is_no_text_is_told_with_its_error(here: Path) -> None:
    name = module(here, "")
    (here / f"{name}.py").write_bytes(b"\xff\xfe\x00")
    assert refusal(f"{name}:app").startswith(f"{name} cannot be imported: ")


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("application.py:app", ", such as application:app"),
        ("folder/application.py:app", ", such as folder.application:app"),
        (":app", ""),
        ("application:", ""),
        ("a b:app", ""),
        ("application:a:b", ""),
    ],
)
def test_a_misnamed_application_shows_how_it_is_named(target: str, meant: str) -> None:
    said = f"{target}: an application is named module:attribute, with dots in the module's name{meant}"
    assert refusal(target) == said


# --- neither


def test_a_bare_word_could_have_meant_two_things() -> None:
    said = "site: there is no such directory; an application is named module:attribute, such as site:app"
    assert refusal("site") == said


@pytest.mark.parametrize("target", ["./site", "/no/where", "../a:b"])
def test_a_path_that_is_not_there_is_a_missing_directory(target: str) -> None:
    assert refusal(target) == f"{target}: there is no such directory"


def test_a_target_that_is_empty_says_what_to_leave_out_or_write() -> None:
    assert refusal("") == "TARGET is empty: leave it out for the built-in site, or write . for this directory"


def test_a_file_is_told_how_to_be_served(here: Path) -> None:
    (here / "application.py").touch()
    (here / "page.html").touch()
    assert refusal("application.py") == (
        "application.py is a file: to serve it, name module:attribute, such as application:app"
    )
    assert refusal("./page.html") == "./page.html is a file: to serve it, name its directory, ."


# --- a directory


def test_a_directory_wins_over_a_module_of_its_name(here: Path) -> None:
    (here / "json:dumps").mkdir()
    assert resolve("json:dumps").description.startswith(f"files in {here / 'json:dumps'}")


def test_further_media_types_are_read_from_a_file(here: Path) -> None:
    (here / "types").write_text("text/x-typescript ts\n")
    (here / "a.ts").write_text("")
    files = resolve(".", types="types").application
    assert isinstance(files, StaticFiles)
    assert files.types.of(b"a.ts") == b"text/x-typescript; charset=utf-8"
    assert files.types.of(b"a.png") == b"image/png"


def test_media_types_that_cannot_be_read_say_why(here: Path) -> None:
    assert refusal(".", types="none") == "--types none: No such file or directory"
    (here / "types").write_text("# mine\nfoo image/png\n")
    assert refusal(".", types="types") == "--types types: line 2: 'foo' is not a media type, such as image/png"
    (here / "types").write_bytes(b"\xff")
    assert refusal(".", types="types").startswith("--types types: 'utf-8' codec can't decode")
    for target in (None, "json:dumps", "http://a"):
        assert refusal(target, types="types") == "--types is for a directory: name one as TARGET"


def test_a_directory_is_served_with_listings_when_asked(here: Path) -> None:
    without = f"files in {here}, which has no index.html (--listing lists it)"
    assert resolve(".").description == without
    assert resolve(".", listing=True).description == f"files in {here}, with listings"
    (here / "index.html").touch()
    assert resolve(".").description == f"files in {here}"


def test_a_directory_keeps_its_limits() -> None:
    files = resolve(".", limits=Limits(max_ranges=3, max_known_files=5)).application
    assert isinstance(files, StaticFiles)
    assert (files.max_ranges, files.memory.bound, files.listing) == (3, 5, False)


def test_a_directory_that_cannot_be_opened_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: str, *options: object, **others: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("clerestory.handlers.static.files.StaticFiles", fail)
    assert refusal(".") == ".: Input/output error"


def test_a_directory_that_may_not_be_read_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may read anything
    assert refusal(".") == ".: permission denied: allow this user to read and enter it"


def test_listing_is_only_for_directories() -> None:
    said = "--listing is for a directory: name one as TARGET"
    assert [refusal(target, listing=True) for target in (None, "json:dumps")] == [said, said]


# --- the built-in site


def test_the_database_is_only_for_the_built_in_site() -> None:
    said = "--database is for the built-in site: leave TARGET out, or leave --database out"
    assert refusal(".", database="sqlite:///mail.db") == said


def test_nothing_is_the_built_in_site_in_memory() -> None:
    found = resolve(None)
    assert isinstance(found.application, Router)
    assert found.description == "the built-in mail site, in memory, with a thousand samples"
    found.close()


def test_the_built_in_site_is_kept_in_the_database_that_is_named(here: Path) -> None:
    found = resolve(None, database="sqlite:///mail.db")
    assert found.description == "the built-in mail site, kept in mail.db"
    assert (here / "mail.db").exists()
    found.close()


@pytest.mark.parametrize("url", ["mail.db", "sqlite:", "sqlite://host/db"])
def test_a_database_url_that_is_not_understood_shows_one_that_is(url: str) -> None:
    said = refusal(None, database=url)
    assert said.startswith(f"--database {url}: ")
    assert "sqlite:///PATH" in said


def test_a_database_of_another_kind_is_told_both_that_are_known_and_not_its_password() -> None:
    said = refusal(None, database="mysql://root:secret@db/mail")
    assert said == "--database mysql://...: use sqlite:///PATH, sqlite:///:memory: or postgresql://USER@HOST/NAME"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///no/mail.db", "there is no directory no: create it, or name another"),
        ("sqlite:///.", "that is a directory: name a file in it"),
        ("sqlite:///text.db", "file is not a database"),
        ("sqlite:///other.db", "other.db"),
    ],
)
def test_a_database_that_cannot_be_used_says_why(url: str, said: str, here: Path) -> None:
    (here / "text.db").write_text("this is no database, however long one looks at it" * 100)
    with sqlite3.connect(here / "other.db") as other:
        other.execute("CREATE TABLE emails (something TEXT)")
    other.close()
    found = refusal(None, database=url)
    assert found.startswith(f"--database {url}: ")
    assert said in found


def test_a_site_that_cannot_be_made_closes_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Database] = []

    def fail(database: Database) -> None:
        seen.append(database)
        raise ValueError("it is something else's")

    monkeypatch.setattr("clerestory.handlers.mail.sqlite.SQLiteMail", fail)
    assert refusal(None, database="sqlite:///mail.db") == "--database sqlite:///mail.db: it is something else's"
    assert seen[0].close() == []


# --- in PostgreSQL


def test_the_mail_site_in_postgresql_says_where_and_repeats_no_password(postgres: Cluster) -> None:
    url = postgres.url(postgres.new_database()).replace("postgres@", "postgres:secret@")
    found = resolve(None, database=url)
    assert found.description.startswith("the built-in mail site, kept in PostgreSQL at 127.0.0.1:")
    assert "secret" not in found.description
    found.close()


def test_a_postgresql_that_is_not_there_says_so_and_repeats_no_password(here: Path) -> None:
    said = refusal(None, database=f"postgresql://me:secret@/mail?host={here}&port=7777")
    assert said.startswith(f"--database postgresql://{here}:7777/mail: ")
    assert "No such file or directory" in said
    assert "secret" not in said


def test_a_postgresql_url_that_is_none_says_so_and_repeats_no_password() -> None:
    said = refusal(None, database="postgresql://me:secret@host/mail?no=such")
    assert said.startswith("--database postgresql://...: not a valid postgresql:// URL: ")
    assert "secret" not in said


def test_a_database_of_something_else_is_left_alone(postgres: Cluster) -> None:
    name = postgres.new_database()
    with postgres.connect(name) as connection:
        connection.execute("CREATE TABLE emails (theirs integer)")
    assert "not a mail database" in refusal(None, database=postgres.url(name))


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert refusal(None, database="postgresql://host/mail") == (
        "--database postgresql://...: psycopg is not installed: pip install 'psycopg[binary]'"
    )


# --- a reverse proxy


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "HTTP://a.example/"])
def test_a_url_is_a_reverse_proxy_of_what_is_served_there(url: str) -> None:
    found = resolve(url)
    assert isinstance(found.application, Proxy)
    assert found.description == f"a reverse proxy of {url}"


def test_a_reverse_proxy_may_have_several_upstreams() -> None:
    found = resolve(Origins(("http://a", "http://b:81"), ("10.0.0.0/8",), own_host=True))
    assert isinstance(found.application, Proxy)
    assert found.application.upstream.origins == [Origin("a", 80, False), Origin("b", 81, False)]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("https://a/path", "https://a/path: an upstream is http://host:port, and nothing else"),
        ("http://a/path", "http://a/path: an upstream is http://host:port, and nothing else"),
        (Origins(("http://a", "b")), "b: only http:// and https:// upstreams are asked"),
        (Origins(("http://a",), ("10.0.0.1/8",)), "--trust: 10.0.0.1/8 has host bits set"),
        (Origins(("https://a",), authorities="/no/ca.pem"), "--upstream-ca /no/ca.pem: No such file or directory"),
        (
            Origins(("https://a",), authorities=__file__),
            f"--upstream-ca {__file__}: there is no certificate in it, in PEM",
        ),
        (Origins(("http://a",), authorities="ca.pem"), "--upstream-ca ca.pem: no upstream is asked by https://"),
        (
            Origins(("http://a",), probe="up"),
            "--probe up: that is not a path: write /health, or whatever answers quickly",
        ),
    ],
)
def test_what_is_no_upstream_is_said(target: Any, words: str) -> None:
    assert refusal(target) == words


def test_a_reverse_proxy_has_no_listing() -> None:
    assert refusal("http://a", listing=True) == "--listing is for a directory: name one as TARGET"


# --- what is meant, and said


@pytest.mark.parametrize("target", ["json:dumps", "."])
def test_a_current_directory_that_has_been_deleted_is_said(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(TargetError, match=r"^the current directory has been deleted|there is no such directory"):
        resolve(target)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000: to serve what is there, write http://127.0.0.1:9000"),
        ("localhost:9000", "localhost:9000: to serve what is there, write http://localhost:9000"),
        ("[::1]:9000", "[::1]:9000: to serve what is there, write http://[::1]:9000"),
        ("app.example.org:80", "app.example.org:80: to serve what is there, write http://app.example.org:80"),
        ("ftp://foo", "ftp://foo: ftp:// is not served: a reverse proxy asks http:// or https://"),
        ("chek", "chek: there is no such directory; did you mean the command check?"),
        ("http://foo:99999", "http://foo:99999: Port out of range 0-65535"),
        ("8000", "8000: to listen there, write --port 8000; to serve what is there, write http://127.0.0.1:8000"),
        (":80", ":80: to listen there, write --port 80; to serve what is there, write http://127.0.0.1:80"),
        ("help", "help: there is no such directory; write --help"),
        ("status", "status: there is no such directory; did you mean the command ps?"),
        ("stop", "stop: there is no such directory; a server is stopped by Ctrl-C, or by kill with its process id"),
    ],
)
def test_what_was_meant_is_said(target: str, said: str) -> None:
    with pytest.raises(TargetError) as error:
        resolve(target)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("show_room", "show_room:app"),
        ("show_room.router", "show_room:router"),
        ("./show_room.py:router", "show_room:router"),
        ("./deep/inner.py:router", "inner:router --app-dir ./deep"),
        ("deep.inner", "deep.inner:app"),
    ],
)
def test_a_module_that_is_here_is_named_as_an_application_is(target: str, meant: str, here: Path) -> None:
    """And is not taken for a misspelt command, as `show_room` for `show`."""
    (here / "deep").mkdir()
    for path in ("show_room.py", "deep/inner.py"):
        (here / path).write_text("app = router = lambda request: None\n")
    said = f"{target}: there is no such directory; an application is named module:attribute: {meant}"
    assert refusal(target) == said
    found, *options = meant.split()
    parse([found, *options])


def test_the_line_that_is_named_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the line of ours that found the fault."""
    monkeypatch.chdir(tmp_path)
    source = "from clerestory.handlers.router import Router\nrouter = Router()\nrouter.get('no slash')(print)\n"
    (tmp_path / "with_a_bad_route.py").write_text(source)
    with pytest.raises(TargetError, match=r"with_a_bad_route\.py, line 3: "):
        resolve("with_a_bad_route:router")


def test_a_directory_is_dressed_only_where_something_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("x")
    assert isinstance(resolve(str(tmp_path)).application, StaticFiles)
    for dress in (Dress("index.html"), Dress(fields=("X-A: 1",)), Dress(caching=("*.js=no-store",))):
        assert isinstance(resolve(str(tmp_path), dress=dress).application, Extras)
    with pytest.raises(TargetError, match=r"--fallback app\.html: there is no such file"):
        resolve(str(tmp_path), dress=Dress("app.html"))
    (tmp_path / "404.html").write_text("x")
    assert isinstance(resolve(str(tmp_path)).application, Extras)
