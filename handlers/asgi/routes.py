"""Which route of an application has matched: what its framework tells in the scope while it handles the request.

FastAPI puts the route there, Starlette its endpoint and the parameters of the path, Litestar the template. The scope is
the framework's own by then, so whatever is found there is looked at with care; nothing is guessed.
"""

from typing import Any


def route_of(scope: dict[str, Any]) -> str:
    """`/orders/{id}`; empty where the framework does not tell."""
    template = scope.get("path_template")
    if isinstance(template, str) and template:
        return template
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str) and path:
        return _below(scope, path)
    parameters = scope.get("path_params")
    if scope.get("endpoint") is None or not isinstance(parameters, dict):
        return ""
    return _folded(str(scope.get("path", "")), parameters)


def _below(scope: dict[str, Any], path: str) -> str:
    """A route's own path, with what it is mounted under."""
    outer, inner = str(scope.get("app_root_path", "")), str(scope.get("root_path", ""))
    return f"{inner.removeprefix(outer)}{path}" if inner != outer else path


def _folded(path: str, parameters: dict[Any, Any]) -> str:
    """`path` with each parameter's value replaced by its name."""
    for name, value in parameters.items():
        text = str(value)
        if not text:
            continue
        segment = f"/{text.removeprefix('/')}"
        at = path.rfind(segment)
        end = at + len(segment)
        if at >= 0 and (end == len(path) or path[end] == "/"):
            path = f"{path[:at]}/{{{name}}}{path[end:]}"
    return path
