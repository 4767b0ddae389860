"""The face that the shell of a client connection shows to its machine."""

from clerestory.server.connection.connection import Connection
from clerestory.statemachines.checks import methods, unlike_model
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection_model import Model


def test_the_model_offers_what_the_table_names_and_nothing_else() -> None:
    assert unlike_model(TABLE, Model) == []


def test_the_shell_has_every_method_of_the_model() -> None:
    assert [name for name in sorted(methods(TABLE)) if not callable(getattr(Connection, name, None))] == []
