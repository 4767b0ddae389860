"""An option's names."""

from clerestory.server.cli.options.option import UNSET
from clerestory.server.cli.options.table import BY_NAME


def test_an_option_has_a_name_for_each_source() -> None:
    option = BY_NAME["max_body"]
    assert (option.flag, option.key, option.variable) == ("--max-body", "max-body", "CLERESTORY_MAX_BODY")
    assert option.placeholder == "BYTES"
    assert option.show(16 << 20) == "16M"


def test_what_can_be_switched_off_says_to_what() -> None:
    assert BY_NAME["access_log"].switched_off is False
    assert BY_NAME["xray"].switched_off == ""
    assert BY_NAME["listing"].switched_off is UNSET
    assert BY_NAME["port"].switched_off is UNSET


def test_a_list_is_shown_with_commas() -> None:
    assert BY_NAME["trust"].show(("::1", "10.0.0.0/8")) == "::1, 10.0.0.0/8"
    assert BY_NAME["database"].show(None) == ""
