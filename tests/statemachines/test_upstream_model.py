"""The face that the shell of a connection to an upstream shows to its machine."""

from clerestory.handlers.backends.upstream.connection import UpstreamConnection
from clerestory.statemachines.checks import methods, unlike_model
from clerestory.statemachines.upstream import TABLE
from clerestory.statemachines.upstream_model import Model


def test_the_model_offers_what_the_table_names_and_nothing_else() -> None:
    assert unlike_model(TABLE, Model) == []


def test_the_shell_has_every_method_of_the_model() -> None:
    assert [name for name in sorted(methods(TABLE)) if not callable(getattr(UpstreamConnection, name, None))] == []
