"""Which arrows are drawn: the usual path, and what leads beside it and back."""

import pytest

from clerestory.diagrams.choice import asides, course, drawn, is_usual
from clerestory.diagrams.picture import Look, Picture, picture_of
from clerestory.statemachines.tables import TABLES

PICTURES = {name: picture_of(table) for name, table in TABLES.items()}
each_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES.keys())


def test_the_course_of_a_connection_is_its_three_states() -> None:
    picture = PICTURES["connection"]
    assert course(picture) == ("AWAITING_REQUEST", "QUERYING_BACKEND", "SENDING_RESPONSE")
    assert [spec.state for spec in picture.specs if is_usual(picture, spec.state)] == list(course(picture))


def test_where_the_usual_path_forks_the_first_of_its_transitions_decides() -> None:
    assert course(PICTURES["upstream"]) == ("CONNECTING", "SENDING_REQUEST", "AWAITING_RESPONSE", "IDLE")


@each_picture
def test_all_of_the_usual_path_is_drawn(picture: Picture) -> None:
    assert {arrow for arrow in picture.arrows if arrow.look is Look.HAPPY} <= drawn(picture)


@each_picture
def test_beside_it_a_state_has_at_most_one_grey_way_in_and_one_out_of_its_own(picture: Picture) -> None:
    grey = [arrow for arrow in drawn(picture) if arrow.look is not Look.HAPPY]
    beside = [spec.state for spec in picture.specs if not spec.final and not is_usual(picture, spec.state)]
    assert len(grey) <= 2 * len(beside)


@each_picture
def test_every_state_is_led_to_by_a_line(picture: Picture) -> None:
    reached = {picture.initial} | {arrow.dest for arrow in [*drawn(picture), *asides(picture)]}
    assert reached == {spec.state for spec in picture.specs}
