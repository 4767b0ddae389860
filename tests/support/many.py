"""Thousands of cases of one kind, as a few tests: each test of pytest's costs milliseconds, and a case often less."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
Test = Callable[..., None]

SHARES = 8


def for_each(
    name: str, cases: Collection[T], what: Callable[[T], object] = str, shares: int = SHARES
) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize(name, cases)`, but in a few tests, each of which tries its share of the cases.

    All cases of a share are tried. Those that failed are raised together, each with a note that says `what` it is. A
    case must not skip: that would skip those that come after it.
    """
    every = list(cases)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def tried(*, share: int, **others: Any) -> None:
            failures: list[Exception] = []
            for case in every[share::shares]:
                failure = _tried(test, {**others, name: case})
                if failure is not None:
                    failure.add_note(f"{name}: {what(case)}")
                    failures.append(failure)
            if failures:
                raise ExceptionGroup(f"of {len(every[share::shares])} cases", failures)

        own = inspect.signature(test)
        parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in own.parameters.values() if one.name != name]
        parameters.append(inspect.Parameter("share", inspect.Parameter.KEYWORD_ONLY))
        vars(tried)["__signature__"] = own.replace(parameters=parameters)
        together: Test = pytest.mark.parametrize("share", range(min(shares, len(every))))(tried)
        return together

    assert every, "there are no cases"
    return decorate


def _tried(test: Test, arguments: dict[str, Any]) -> Exception | None:
    try:
        test(**arguments)
    except Exception as failure:  # noqa: BLE001 - it is raised with the others
        return failure
    return None
