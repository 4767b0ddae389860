"""Pages for errors that the server answers itself: a 404 of a directory, a 502 of a proxy, a 413, a 500.

An error that an application answers is its own. Who prefers JSON gets the error in JSON, as without pages. The pages
are read once, at the start: when the disk or a directory is what fails, they are still there.
"""

from collections.abc import Mapping

from clerestory.handlers.api.messages import ErrorResponse, Request, Response

CONTENT_TYPE = b"content-type"


class ErrorPages:
    """A page for a status (404) or a class of them (`4`): its media type and content."""

    def __init__(self, pages: Mapping[int, tuple[bytes, bytes]]) -> None:
        self._pages = dict(pages)

    def apply(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """As Dresser.apply."""
        if not isinstance(response, ErrorResponse):
            return response
        page = self._pages.get(response.status) or self._pages.get(response.status // 100)
        if page is None or any(
            name == CONTENT_TYPE and not value.startswith(b"text/") for name, value in response.fields
        ):
            return response
        kept = tuple(field for field in response.fields if field[0] != CONTENT_TYPE)
        return Response(page[1], response.status, ((CONTENT_TYPE, page[0]), *kept), reason=response.reason)
