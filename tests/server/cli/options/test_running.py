"""The options that say where and how the server runs."""

from clerestory.server.cli.options.running import CONFIGURATION_OPTIONS, LISTENING_OPTIONS, XRAY_OPTIONS


def test_where_to_listen_and_whom_to_believe_are_lists() -> None:
    assert [option.name for option in LISTENING_OPTIONS if option.repeated] == ["listen", "proxy_protocol"]


def test_what_asks_for_something_else_than_serving_is_typed() -> None:
    assert [option.name for option in CONFIGURATION_OPTIONS if option.typed] == ["check_config", "help", "version"]


def test_the_token_is_not_for_the_command_line() -> None:
    """Everybody on a machine can read the command lines of its processes."""
    assert [option.name for option in XRAY_OPTIONS if option.secret] == ["xray_token"]
