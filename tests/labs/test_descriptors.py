"""Every kind of descriptor is reported when it is ready, and not before; files are refused."""

import os

import pytest

from labs.descriptors import TRIALS, Kind, kinds

REFUSED = {"a regular file", "a directory"}


@pytest.fixture(scope="module")
def tried() -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds()}


@pytest.mark.parametrize("name", sorted(TRIALS.keys() - REFUSED))
def test_what_can_tell_that_it_is_ready_fits(tried: dict[str, Kind], name: str) -> None:
    assert tried[name].fits


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_always_claims_to_be_ready_is_refused(tried: dict[str, Kind], name: str) -> None:
    assert not tried[name].fits
    assert tried[name].error == os.strerror(1)


def test_no_descriptor_is_left_open() -> None:
    kinds()
    before = len(os.listdir("/proc/self/fd"))
    kinds()
    assert len(os.listdir("/proc/self/fd")) == before
