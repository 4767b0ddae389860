"""Cases in shares: each is tried once, and those that fail are named."""

import pytest

from tests.support.many import for_each

TRIED: list[int] = []


@pytest.mark.parametrize("other", ["a", "b"])
@for_each("case", range(10), shares=4)
def test_every_case_is_tried(case: int, other: str) -> None:
    TRIED.append(case)
    assert other in ("a", "b")


def test_every_case_has_been_tried_once_with_each_other_parameter() -> None:
    if not TRIED:
        pytest.skip("it runs behind the test above, or alone")
    assert sorted(TRIED) == sorted([*range(10), *range(10)])


def test_all_that_fail_are_named_and_the_others_are_tried_all_the_same() -> None:
    tried: list[int] = []

    def fails(case: int) -> None:
        tried.append(case)
        assert case % 3, f"{case} is a multiple"

    shared = for_each("case", range(7), what=lambda case: f"number {case}", shares=1)(fails)
    with pytest.raises(ExceptionGroup) as caught:
        shared(share=0)
    assert tried == list(range(7))
    assert [str(failure).split("\n")[0] for failure in caught.value.exceptions] == [
        "0 is a multiple",
        "3 is a multiple",
        "6 is a multiple",
    ]
    assert caught.value.exceptions[1].__notes__ == ["case: number 3"]


def test_no_case_at_all_is_an_error() -> None:
    with pytest.raises(AssertionError, match="there are no cases"):
        for_each("case", [])
