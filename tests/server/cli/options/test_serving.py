"""The options that say what is served: each says for which targets it is."""

from clerestory.server.cli.options.bounds import APPLICATION
from clerestory.server.cli.options.option import Goal
from clerestory.server.cli.options.serving import PROXY, SERVING_OPTIONS, STATIC

GOALS = {STATIC.name: Goal.DIRECTORY, APPLICATION.name: Goal.APPLICATION, PROXY.name: Goal.PROXY}


def test_an_option_of_a_kind_of_target_is_for_that_target() -> None:
    """But for --loop, which asks where everything runs."""
    for option in SERVING_OPTIONS:
        if option.group.name in GOALS and option.name != "loop":
            assert GOALS[option.group.name] in option.goals, option.name
