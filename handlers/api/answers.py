"""What a handler may return instead of a Response: a dict or a list is JSON, a str is text, bytes are bytes.

A Response never comes here. A pair of a body and a status is not an answer: `text_response("no", 404)` says the same,
and says what it is.
"""

from inspect import iscoroutine

from clerestory.handlers.api.messages import Response, json_response, text_response
from clerestory.handlers.api.origin import place_of

_BYTES = ((b"content-type", b"application/octet-stream"),)


def response_of(answer: object, handler: object = None) -> Response:
    """`answer` as a response; `handler` is the function or the coroutine that returned it, where that is known. Raises
    TypeError for what is no answer, and as `json_response` does."""
    if isinstance(answer, str):
        return text_response(answer)
    if isinstance(answer, dict | list):
        return json_response(answer)
    if isinstance(answer, bytes):
        return Response(answer, 200, _BYTES)
    who, kind = place_of(handler) or "the handler", type(answer).__name__
    raise TypeError(f"{who} returned {kind}, not a Response, dict, list, str or bytes{_hint(answer)}")


def _hint(answer: object) -> str:
    if iscoroutine(answer):
        answer.close()  # else Python says, elsewhere, that it was never awaited
        return ": is an `await` missing?"
    if answer is None:
        return ": is a `return` missing? An answer without a body is Response(status=204)"
    return ": give the status to json_response or text_response" if isinstance(answer, tuple) else ""
