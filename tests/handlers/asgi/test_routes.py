"""Which route has matched, as frameworks tell it in the scope."""

from types import SimpleNamespace
from typing import Any

import pytest

from clerestory.handlers.asgi.routes import route_of

ENDPOINT = object()


@pytest.mark.parametrize(
    ("scope", "route"),
    [
        ({"path": "/orders/7"}, ""),
        ({"path": "/orders/7", "path_template": "/orders/{id:int}"}, "/orders/{id:int}"),
        ({"path": "/orders/7", "route": SimpleNamespace(path="/orders/{id}")}, "/orders/{id}"),
        (
            {
                "path": "/v1/orders/7",
                "root_path": "/v1",
                "app_root_path": "",
                "route": SimpleNamespace(path="/orders/{id}"),
            },
            "/v1/orders/{id}",
        ),
        ({"path": "/orders/7", "route": SimpleNamespace(path=7)}, ""),
        ({"path": "/orders/7", "endpoint": ENDPOINT, "path_params": {"id": 7}}, "/orders/{id}"),
        ({"path": "/7/7", "endpoint": ENDPOINT, "path_params": {"a": "7", "b": "7"}}, "/{b}/{a}"),
        ({"path": "/files/a/b.txt", "endpoint": ENDPOINT, "path_params": {"path": "a/b.txt"}}, "/files/{path}"),
        ({"path": "/orders/77", "endpoint": ENDPOINT, "path_params": {"id": 7}}, "/orders/77"),
        ({"path": "/about", "endpoint": ENDPOINT, "path_params": {}}, "/about"),
        ({"path": "/about", "endpoint": ENDPOINT, "path_params": {"empty": ""}}, "/about"),
        ({"path": "/about", "endpoint": ENDPOINT, "path_params": "odd"}, ""),
        ({"path": "/about", "path_params": {"id": 7}}, ""),
    ],
)
def test_what_the_framework_tells_is_the_route(scope: dict[str, Any], route: str) -> None:
    assert route_of(scope) == route
