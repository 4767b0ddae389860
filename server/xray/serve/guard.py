"""The x-ray's door: who may look, who may change, and what a browser is told about the answer.

Three kinds of requests:

- *Open to all*: /healthz and /readyz, which say nothing but yes or no; the page's own files, which are the same for
  everybody and hold no fact; and /metrics, which are counts, unless the token is asked for there too.
- *Everything else* takes the token, or a session that was opened by a key (server.xray.serve.keys), as a field of the
  request: other users of this machine, containers beside us, and applications that can be made to fetch a URL know
  neither. No field of a browser's own making is believed for it, and no cookie or other credential that a browser adds
  by itself.
- *From another site's page*: nothing, but that a link to our page may be followed. Such a page could not read the
  answers, but it could ask over and over, and hold the connections. Browsers say who asks (Sec-Fetch-Site, Origin).

On loopback the Host must be a loopback name or address, else 421 (RFC 9110 section 15.5.20): a name of an attacker's
may resolve to 127.0.0.1 (DNS rebinding). A Unix socket and an address beyond loopback have no such names.

The answer's fields forbid that it is framed, sniffed or kept.
"""

import base64
import binascii
import ipaddress
from dataclasses import dataclass

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Application, Fields, Request, Response, error_response
from clerestory.server.xray.serve.keys import Keys

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

CHALLENGE = (b"www-authenticate", b'Bearer realm="clerestory x-ray"')
"""Not Basic: a browser would keep what it asks its user for, and send it with every request of any page."""

CLOSE = (b"connection", b"close")

READING = ("GET", "HEAD", "OPTIONS")

PROBES = ("/healthz", "/readyz")

METRICS = "/metrics"

SESSION = "/session"
"""Takes a key; its handler looks at it."""

WANTED = "Send the token, as Authorization: Bearer TOKEN. `clerestory page` prints a link that opens the page."


@dataclass(frozen=True, slots=True)
class Guard:
    """`application` behind the door. `local`: only this machine can reach it; `unix`: by a socket in a file.
    `open_metrics`: /metrics takes no token. `private`: nobody can reach it who may not have everything."""

    application: Application
    keys: Keys
    local: bool = True
    unix: bool = False
    open_metrics: bool = True
    private: bool = False

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
        if self.private:
            return
        if self.local and not self.unix and not is_loopback(request.authority):
            reason = "The x-ray answers to this machine's own names: localhost, 127.0.0.1 or [::1]."
            raise HTTPError(421, reason, (CLOSE,))
        if not _same_origin(request) and not is_followed(request):
            what = "This" if request.method in READING else "A change"
            raise HTTPError(403, f"{what} cannot be asked for by a page of another site.", (CLOSE,))
        if not self._is_open(request) and not self.is_known(request):
            raise HTTPError(401, WANTED, (CHALLENGE,))

    def _is_open(self, request: Request) -> bool:
        """Whether anybody may have it."""
        path = request.path
        if path == METRICS:
            return self.open_metrics
        return path in ("/", SESSION, *PROBES) or path.startswith("/page/")

    def is_known(self, request: Request) -> bool:
        """Whether the request carries the token, or a session's secret, in one of its fields."""
        return self.private or any(self.keys.opens(secret) for secret in secrets_of(request))


def secrets_of(request: Request) -> list[bytes]:
    """What a request carries that may be the token, a key or a session."""
    given = [request.get(b"x-clerestory-token") or b""]
    scheme, _, credentials = (request.get(b"authorization") or b"").partition(b" ")
    if scheme.lower() == b"bearer":
        given.append(credentials.strip())
    elif scheme.lower() == b"basic":
        given.append(_password(credentials.strip()))
    return [one for one in given if one]


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


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _secure(response: Response) -> Response:
    response.fields = response.fields + SECURE
    return response


def _refused(error: HTTPError, request: Request) -> Response:
    return _secure(error_response(error, request.get(b"accept"), sent=request.get(b"content-type") or b""))
