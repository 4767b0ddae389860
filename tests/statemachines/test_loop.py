"""The interface of a loop: the server's own loop has all of it, with the same parameters."""

import inspect

from clerestory.server.loop.loop import Loop as ServersLoop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.loop import Loop


def offered() -> list[str]:
    return [name for name in vars(Loop) if not name.startswith("_")]


def test_the_servers_loop_offers_all_that_machines_ask_for() -> None:
    loop = ServersLoop(open_poller("auto"), lambda machine, error: None)
    assert [name for name in offered() if not hasattr(loop, name)] == []
    loop.close()


def test_its_methods_are_called_as_the_interface_says() -> None:
    methods = [name for name in offered() if inspect.isfunction(vars(Loop)[name])]
    assert "tell" in methods
    for name in methods:
        asked = list(inspect.signature(getattr(Loop, name)).parameters)
        assert list(inspect.signature(getattr(ServersLoop, name)).parameters) == asked
