"""An application, bound to a loop: what its calls share, and what a drain does to them."""

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.wsgi.application import WSGI


def test_it_is_no_function_of_a_request_alone() -> None:
    with pytest.raises(TypeError):
        WSGI(lambda environ, start: [])(Request("GET", "/", ()))
