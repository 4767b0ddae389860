"""What a pool demands of a job."""

import inspect

import pytest

from clerestory.handlers.backends.threads.job import Job
from clerestory.handlers.backends.threads.work import Work
from clerestory.handlers.wsgi.call import Call

DEMANDED = ("run", "tell_end", "taken", "shut_out")


@pytest.mark.parametrize("kind", [Work, Call])
def test_each_kind_of_job_does_all_that_a_pool_demands(kind: type[Job]) -> None:
    for name in DEMANDED:
        assert getattr(kind, name) is not getattr(Job, name)
        assert list(inspect.signature(getattr(kind, name)).parameters) == list(
            inspect.signature(getattr(Job, name)).parameters
        )
