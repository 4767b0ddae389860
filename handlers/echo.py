"""Hand a request's body back, piece by piece as it comes: nothing is held, so its size does not matter."""

from handlers.messages import Request, Response


def echo(request: Request) -> Response:
    """The body of `request`, of the type it came with, and of the length it has where that is known."""
    # RFC 9110 section 8.3: a body whose type nobody gave may be called application/octet-stream.
    fields = [(b"content-type", request.get(b"content-type") or b"application/octet-stream")]
    if request.content_length is not None:
        fields.append((b"content-length", b"%d" % request.content_length))
    return Response(request, fields=tuple(fields))
