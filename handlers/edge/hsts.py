"""Strict-Transport-Security (RFC 6797): over TLS only (section 7.2), and once (section 7.1)."""

from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.edge.edge import replaced, with_fields

NAME = b"strict-transport-security"


class HSTS:
    """Says `value`, such as `max-age=31536000`, with every response over TLS, in the place of the application's."""

    def __init__(self, value: bytes) -> None:
        self._fields: Fields = ((NAME, value),)

    def apply(self, request: Request, response: Response) -> Response:
        """As Dresser.apply."""
        if request.security is None:
            return response
        return with_fields(response, replaced(response.fields, self._fields))
