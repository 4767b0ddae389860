"""The catalogue has the whole road, and finds a lab by name or number."""

import importlib.util

import pytest

from labs.catalogue import LABS, Lab, NoSuchLab, find


def test_the_labs_are_numbered_in_their_order() -> None:
    assert [lab.number for lab in LABS] == list(range(1, 17))


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_every_lab_has_a_module_that_tells_a_story(lab: Lab) -> None:
    assert importlib.util.find_spec(lab.module) is not None
    heading, _, story = lab.story().partition("\n\n")
    assert heading
    assert story


def test_a_lab_is_found_by_its_name_and_by_its_number() -> None:
    assert find("herd") is find("11")


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(NoSuchLab, match="there is no lab nothing; there are one-at-a-time, thread-pool"):
        find("nothing")
