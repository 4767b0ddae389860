"""The x-ray's door: who may look, who may change, and what a browser is told about the answer.

A browser on the same machine reaches a loopback address from any page it shows. What keeps such a page out:

- *DNS rebinding*: a name of the attacker's that resolves to 127.0.0.1. The Host must be a loopback name or address:
  else 421, RFC 9110 section 15.5.20.
- *Forged changes*: a change is a POST from our own origin (or from no page at all) that carries the token; the page is
  given the token, and no other origin can read the page.
- *Being worn out*: a page can not read what it may not, but it can ask for it, over and over, and hold the connections.
  Browsers say what asks (Sec-Fetch-Site): of other origins' pages only a link to our page is followed. Who is refused
  is closed.
- *Being framed, sniffed or kept*: the answer's fields forbid it.

An application that can be made to fetch any URL can be made to fetch ours: so the page holds the token only for a
browser that shows it. Another user of this machine can say all that a browser says: where there are such, who are not
trusted, a Unix socket keeps them out.

Beyond loopback nothing is answered without the token: as `Authorization: Bearer TOKEN`, or as the password of Basic,
which is what a browser asks its user for. A Unix socket is guarded by its mode; there is no name to be rebound.
"""

import base64
import binascii
import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import parse_qsl

from handlers.errors import HTTPError
from handlers.messages import Answer, Application, Fields, Request, Response, error_response

SECURE: Fields = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)

CHALLENGE = (b"www-authenticate", b'Basic realm="clerestory x-ray: the token is the password", charset="UTF-8"')

CLOSE = (b"connection", b"close")

READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Guard:
    """`application` behind the door. `local`: only this machine can reach it; `unix`: by a socket in a file."""

    application: Application
    token: str
    local: bool = True
    unix: bool = False

    def __call__(self, request: Request) -> Answer:
        try:
            self._admit(request)
            answer = self.application(request)
        except HTTPError as error:
            return _refused(error, request)
        return _secure(answer) if isinstance(answer, Response) else self._later(answer, request)

    async def _later(self, answer: Answer, request: Request) -> Response:
        assert not isinstance(answer, Response)
        try:
            return _secure(await answer)
        except HTTPError as error:
            return _refused(error, request)

    def _admit(self, request: Request) -> None:
        if self.local and not self.unix and not is_loopback(request.authority):
            reason = "The x-ray answers to this machine's own names: localhost, 127.0.0.1 or [::1]."
            raise HTTPError(421, reason, (CLOSE,))
        if not self.local and not self.has_token(request):
            raise HTTPError(401, "Send the token: Authorization: Bearer TOKEN.", (CHALLENGE,))
        if not _same_origin(request) and not is_followed(request):
            what = "This" if request.method in READING else "A change"
            raise HTTPError(403, f"{what} can not be asked for by a page of another origin.", (CLOSE,))

    def has_token(self, request: Request) -> bool:
        """Whether the request carries the token, in one of its fields."""
        given = [request.get(b"x-clerestory-token") or b""]
        scheme, _, credentials = (request.get(b"authorization") or b"").partition(b" ")
        if scheme.lower() == b"bearer":
            given.append(credentials.strip())
        elif scheme.lower() == b"basic":
            given.append(_password(credentials.strip()))
        return any(hmac.compare_digest(one, self.token.encode()) for one in given)

    async def demand(self, request: Request) -> None:
        """Raises HTTPError 403 unless the request carries the token, in a field or in its form."""
        if self.has_token(request):
            return
        is_form = (request.get(b"content-type") or b"").startswith(b"application/x-www-form-urlencoded")
        if is_form and hmac.compare_digest(_token_of(await request.read()), self.token.encode()):
            return
        raise HTTPError(403, "This takes the token: send it as X-Clerestory-Token, or as the form's token.")


def is_loopback(authority: bytes) -> bool:
    """Whether a Host names this machine only: `localhost`, below it, 127.0.0.0/8 or [::1], with or without a port."""
    host = authority.decode("ascii", "replace").lower()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _same_origin(request: Request) -> bool:
    """Whether a request is made by our own page, or by no page at all (then there is no Origin)."""
    origin = request.get(b"origin")
    if (request.get(b"sec-fetch-site") or b"none") not in (b"none", b"same-origin"):
        return False
    return origin is None or origin.lower() == b"http://" + request.authority.lower()


def is_followed(request: Request) -> bool:
    """Whether a browser follows a link or an address that was typed, to show what it gets in a window of its own."""
    said = request.get(b"sec-fetch-mode"), request.get(b"sec-fetch-dest"), request.get(b"origin")
    return request.method == "GET" and said == (b"navigate", b"document", None)


def _token_of(form: bytes) -> bytes:
    try:
        return dict(parse_qsl(form.decode("ascii", "replace"), max_num_fields=32)).get("token", "").encode()
    except ValueError:
        return b""


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _secure(response: Response) -> Response:
    response.fields = response.fields + SECURE
    return response


def _refused(error: HTTPError, request: Request) -> Response:
    return _secure(error_response(error, request.get(b"accept")))
