"""What the process that serves is told."""

import dataclasses

import pytest

from clerestory.server.config import Limits
from clerestory.server.options import Options
from clerestory.statemachines.engine import Dispatch


def test_without_being_told_it_serves_this_machine_only_with_every_default() -> None:
    options = Options()
    assert (options.host, options.port) == ("127.0.0.1", 8000)
    assert (options.poller, options.parser, options.dispatch) == ("auto", "auto", Dispatch.COMPILED)
    assert options.limits == Limits()
    assert options.access_log


def test_options_do_not_change_while_it_serves() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().port = 1  # type: ignore[misc]
