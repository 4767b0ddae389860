"""Which source holds, and how the outcome is shown."""

import tomllib

from clerestory.server.cli.arguments import parse
from clerestory.server.cli.options.table import BY_NAME, TABLE
from clerestory.server.cli.settings import Given, Rank, Settings, configuration_page
from clerestory.server.cli.sources import from_file


def given(name: str, value: object, rank: Rank) -> Given:
    return Given(BY_NAME[name], value, rank, rank.name)


def test_without_anything_the_defaults_hold() -> None:
    settings = Settings()
    assert {name: settings[name] for name in settings} == {option.name: option.default for option in TABLE}
    assert settings.source("port") == "default"
    assert len(settings) == len(TABLE)


def test_the_command_line_comes_before_the_environment_and_that_before_the_file() -> None:
    ranks = [Rank.COMMAND_LINE, Rank.ENVIRONMENT, Rank.FILE]
    for strongest in range(3):
        sources = [given("port", rank.value, rank) for rank in ranks[strongest:]]
        for order in (sources, sources[::-1]):
            settings = Settings(order)
            assert settings["port"] == ranks[strongest].value
            assert settings.rank("port") is ranks[strongest]


def test_a_list_of_a_stronger_source_takes_the_place_of_a_weaker_ones() -> None:
    weak, strong = given("listen", ("1",), Rank.FILE), given("listen", ("2",), Rank.COMMAND_LINE)
    assert Settings([weak, strong])["listen"] == ("2",)
    assert Settings([strong, weak])["listen"] == ("2",)


WORDS = "--port 9 --listen 8 --listen unix:/a --max-body 16M --keep-alive-timeout 2.5 --no-xray --trust ::1 --listing"


def test_the_page_is_a_configuration_file_that_sets_the_same() -> None:
    """What --check-config prints can be kept as clerestory.toml."""
    typed = Settings(parse(WORDS.split()).given)
    page = configuration_page(typed)
    read = Settings(from_file(tomllib.loads(page), "x.toml"))
    assert {name: read[name] for name in read} == {name: typed[name] for name in typed}


def test_the_page_says_where_each_value_comes_from() -> None:
    page = configuration_page(Settings([given("port", 9, Rank.COMMAND_LINE), given("max_head", 1024, Rank.FILE)]))
    lines = {line.split()[0]: line for line in page.splitlines()}
    assert lines["port"].split() == ["port", "=", "9", "#", "COMMAND_LINE"]
    assert lines["max-head"].split() == ["max-head", "=", '"1K"', "#", "FILE"]
    assert lines["host"].split() == ["host", "=", '"127.0.0.1"', "#", "default"]
    assert len(page.splitlines()) == len([option for option in TABLE if not option.typed])


def test_the_page_shows_no_secret() -> None:
    sources = [
        given("database", "postgresql://me:hunter2@db/x", Rank.ENVIRONMENT),
        given("xray_token", "hunter2", Rank.ENVIRONMENT),
    ]
    page = configuration_page(Settings(sources))
    assert "hunter2" not in page
    assert 'database = "postgresql://me:***@db/x"' in page
    assert 'xray-token = "***"' in page
