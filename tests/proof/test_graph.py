"""The graph of a world: states are numbered as they are found, the ways to them are short, and what may go on for ever
is found where every fair process has its turns."""

from proof.graph import Graph

FAIR, UNFAIR = 0, 1


def graph(*edges: tuple[int, int, int]) -> Graph:
    """Of edges: from, event, to. The states are (0,), (1,), ..."""
    made = Graph((0,), keeps_edges=True)
    for before, event, after in edges:
        made.add(before, event, (after,))
    return made


def stays(made: Graph, begins: int, kept: int = -1) -> set[int]:
    return made.stays(lambda state: state[0] == begins, lambda state: state[0] == kept, [{FAIR}])


def test_states_are_numbered_as_they_are_found_and_iterated_while_some_are_added() -> None:
    made = Graph((7,), keeps_edges=False)
    found = []
    for number, state in enumerate(made):
        found.append(state)
        if state[0] < 10:
            made.add(number, 0, (state[0] + 1,))
            made.add(number, 0, (7,))
    assert found == made.states == [(7,), (8,), (9,), (10,)]
    assert made.turns == 6


def test_the_way_to_a_state_is_the_one_by_which_it_was_found_first() -> None:
    made = graph((0, 4, 1), (0, 5, 2), (1, 6, 3), (2, 7, 3))
    assert made.path(3) == [((0,), 4, (1,)), ((1,), 6, (3,))]
    assert made.path(0) == []


def test_a_state_in_which_the_fair_process_can_do_nothing_is_stayed_in() -> None:
    assert stays(graph((0, UNFAIR, 1)), begins=0) == {1}
    assert stays(graph((0, UNFAIR, 1)), begins=0, kept=1) == {0}


def test_a_state_that_the_fair_process_leaves_is_left() -> None:
    assert stays(graph((0, FAIR, 1)), begins=0, kept=1) == set()
    assert stays(graph((0, UNFAIR, 0), (0, FAIR, 1)), begins=0, kept=1) == set()


def test_a_cycle_is_stayed_in_if_the_fair_process_has_a_turn_in_it() -> None:
    assert stays(graph((0, UNFAIR, 1), (1, FAIR, 0), (1, UNFAIR, 2)), begins=0, kept=2) == {0, 1}


def test_a_cycle_beside_which_the_fair_process_always_leads_away_is_left() -> None:
    made = graph((0, UNFAIR, 1), (0, FAIR, 2), (1, UNFAIR, 0), (1, FAIR, 2))
    assert stays(made, begins=0, kept=2) == set()
