"""What a lab hands back: claims are the lecture's, verdicts are of what was measured."""

import pytest

from labs.claims import CLAIMS
from labs.findings import Claim, Stage, Verdict, verdict


def test_a_claim_that_the_lecture_does_not_make_is_refused() -> None:
    with pytest.raises(ValueError, match="the lecture has no claim epoll-is-magic"):
        Claim("epoll-is-magic", "", Verdict.HOLDS, "")


@pytest.mark.parametrize("key", CLAIMS)
def test_every_claim_of_the_lecture_can_be_made(key: str) -> None:
    assert Claim(key, "measured", Verdict.FAILS, "why").key == key


@pytest.mark.parametrize(
    ("holds", "partly", "expected"),
    [
        (True, False, Verdict.HOLDS),
        (True, True, Verdict.HOLDS),
        (False, True, Verdict.PARTLY),
        (False, False, Verdict.FAILS),
    ],
)
def test_a_verdict_follows_from_what_was_measured(holds: bool, partly: bool, expected: Verdict) -> None:
    assert verdict(holds, partly) is expected


def test_a_quick_stage_picks_the_small_load() -> None:
    assert Stage(print, quick=True).pick(1000, 10) == 10
    assert Stage(print).pick(1000, 10) == 1000
