"""Return a request's body, piece by piece as it arrives: it is not stored, so its size does not matter."""

from clerestory.handlers.api.messages import Request, Response


def echo(request: Request) -> Response:
    """The body of `request`, with its media type, and its length if that is known."""
    # RFC 9110 section 8.3: a body without a type may be treated as application/octet-stream.
    fields = [(b"content-type", request.get(b"content-type") or b"application/octet-stream")]
    if request.content_length is not None:
        fields.append((b"content-length", b"%d" % request.content_length))
    return Response(request, fields=tuple(fields))
