"""What is answered where a handler raised before its response began, and what is told of it: an HTTPError is an answer,
and the log is told of its cause; anything else is for the log alone."""

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, error_response, preferred
from clerestory.handlers.api.origin import place_of
from clerestory.handlers.wire.transport import FileUnreadableError
from clerestory.server.connection.channel import Channel
from clerestory.server.connection.traceback_page import own_frames, traceback_response
from clerestory.server.logging.redaction import target_of, without_queries


def id_of(channel: Channel, request: Request | None) -> str:
    """The id of an exchange, which its channel may have forgotten by now."""
    return request.id if request is not None else channel.request_id()


def error_of(channel: Channel, request: Request | None, error: HTTPError) -> Response:
    """The response for `error`, in the form that the client prefers; it names the request."""
    told = id_of(channel, request) if channel.service.names.prefix else ""
    accept, sent = _fields_of(request)
    return error_response(error, accept, told, sent)


def _fields_of(request: Request | None) -> tuple[bytes | None, bytes]:
    """What says in which form the client wants an error: its Accept and Content-Type."""
    return (request.get(b"accept"), request.get(b"content-type") or b"") if request is not None else (None, b"")


def answer_to(channel: Channel, request: Request | None, error: BaseException) -> Response:
    """The answer to `error`, of which the log is told what the client is not."""
    try:
        if not isinstance(error, HTTPError):
            tell_failure(channel, request, error)
            if channel.service.debug:
                about = f"request {id_of(channel, request)}"
                if request is not None:
                    about = f"{request.method} {request.target}, {about}"
                return traceback_response(error, about, preferred(*_fields_of(request)))
            error = HTTPError(500)
        elif error.cause:
            tell_cause(channel, request, error)
        elif error.hint:
            tell_hint(channel, request, error)
        return error_of(channel, request, error)
    except Exception as fault:  # noqa: BLE001 - an application may put anything into an HTTPError
        tell_failure(channel, request, fault)
        return error_of(channel, None, HTTPError(500))


def tell_failure(channel: Channel, request: Request | None, error: BaseException) -> None:
    """What a handler raised that is no answer, or what was wrong with its response."""
    logs = channel.service.logs
    if isinstance(error, FileUnreadableError):
        logs.warning("file_unreadable", id=id_of(channel, request), reason=str(error))
        return
    place = place_of(request.handler) if request is not None and request.handler is not None else ""
    if place and place not in str(error) and not own_frames(error):
        error.add_note(f"The handler is {place}.")  # else nothing in the traceback is the user's
    logs.error(
        "handler_failed",
        exc_info=error,
        id=id_of(channel, request),
        method=request.method if request is not None else "-",
        target=target_of(request, queries=logs.queries),
    )


def tell_hint(channel: Channel, request: Request | None, error: HTTPError) -> None:
    """What would have made `error` an answer."""
    logs = channel.service.logs
    target = target_of(request, queries=logs.queries)
    logs.info("request_hint", id=id_of(channel, request), target=target, status=error.status, hint=error.hint)


def tell_cause(channel: Channel, request: Request | None, error: HTTPError, *, begun: bool = False) -> None:
    """Why a request is answered with `error`, or, where its response has `begun`, is cut: to the log, and to those who
    look at the connection in the x-ray."""
    service = channel.service
    what = "was cut off while being answered, by" if begun else "was answered"
    service.observer.request_failed(channel.identity(), f"request {channel.requests} {what} {error}")
    service.logs.warning(
        "backend_failed",
        id=id_of(channel, request),
        method=request.method if request is not None else "-",
        target=target_of(request, queries=service.logs.queries),
        status=error.status,
        backend=getattr(error, "where", None) or None,
        cause=error.cause,
        detail=error.detail if service.logs.queries else without_queries(str(error.detail)),
    )
