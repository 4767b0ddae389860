"""What of a message's fields goes on to the next hop, and what we add: RFC 9110 section 7.6, RFC 7239.

Laws:

- What is about one connection only stays on it: Connection, the fields that it names, and those that are known to be
  hop-by-hop although nobody names them.
- Connection cannot take away what the next hop must know: Host, framing, who has forwarded, credentials. (Removing
  `X-Forwarded-For` in this way has opened doors: CVE-2022-31813.)
- Who the client is, we say; what it says of itself is believed only of a peer in `trusted`. A name that becomes one of
  these fields when `_` is read as `-`, as an environ does, is dropped.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from clerestory.handlers.api.messages import REQUEST_ID, Field, Fields, Request
from clerestory.handlers.wire.grammar import is_token, members

Network = IPv4Network | IPv6Network

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization proxy-authentication-info te "
    b"trailer transfer-encoding upgrade http2-settings".split()
)
"""RFC 9110 section 7.6.1, RFC 9112 appendix C.2.2, RFC 7540 section 3.2.1; and what is between us and a client."""

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
FORWARDED = frozenset({b"forwarded", b"x-real-ip", b"x-client-ip", b"client-ip", b"true-client-ip", b"via-peer"})
_ANEW = frozenset({b"host", b"expect", REQUEST_ID})
"""What is written anew for the next hop."""
_X_FORWARDED = b"x-forwarded-"

KEPT, LONGEST_NAME = 1024, 64
"""Names of fields, and clients, that are kept in mind; and bytes of a name, or an authority, at most."""
_OURS = HOP_BY_HOP | FRAMING
PROTECTED = FRAMING | FORWARDED | {b"host", b"via", b"authorization", b"cookie", b"date", b"max-forwards"}
"""What Connection cannot take away."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """`127.0.0.1`, `10.0.0.0/8`, `::1`... Raises ValueError."""
    return tuple(ip_network(text.strip()) for text in texts)


def is_trusted(host: str, trusted: Iterable[Network]) -> bool:
    """Whether a peer's address is in one of the networks."""
    address = _address(host)
    return address is not None and any(address.version == net.version and address in net for net in trusted)


def peer_host(peer: str) -> str:
    """The host of `127.0.0.1:4711` or `[::1]:4711`; of a Unix socket's peer nothing."""
    host = peer.rpartition(":")[0]
    return host[1:-1] if host.startswith("[") else host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def is_forwarding(name: bytes) -> bool:
    """Whether a field (lower case) says who the client is."""
    return name.startswith(_X_FORWARDED) or name in FORWARDED


def _named_by_connection(fields: Fields) -> set[bytes]:
    """The fields that are about this connection because Connection says so."""
    named = {option for name, value in fields if name == b"connection" for option in members(value)}
    return {name for name in named if name not in PROTECTED and not is_forwarding(name)}


def end_to_end(fields: Fields) -> list[Field]:
    """The fields that are about the message, and not about a connection or its framing."""
    kept = [field for field in fields if field[0] not in _OURS]
    if b"connection" in dict(fields):
        named = _named_by_connection(fields)
        kept = [field for field in kept if field[0] not in named]
    return kept


def _is_disguised(name: bytes) -> bool:
    """Whether `X_Forwarded_For` and the like: another field once it is in an environ."""
    plain = name.replace(b"_", b"-")
    return is_forwarding(plain) or plain in PROTECTED or plain in HOP_BY_HOP


class Forwarder:
    """Rewrites the fields of requests and answers. `pseudonym` is our name in Via."""

    def __init__(self, pseudonym: str, trusted: Iterable[Network] = (), *, keep_host: bool = True) -> None:
        self._via = [b"1.%d %b" % (minor, pseudonym.encode("ascii")) for minor in (0, 1)]
        self._via.append(b"2 " + pseudonym.encode("ascii"))
        self._pseudonym = pseudonym.encode("ascii")
        self._trusted = tuple(trusted)
        self._keep_host = keep_host
        self._plain: set[bytes] = set()
        """Names of fields that go on as they came."""
        self._said: dict[tuple[str, str, bytes], list[Field]] = {}
        """What we say of a client, by its address, the scheme, and the authority that it asked for."""

    def client(self, request: Request) -> str:
        """The address of the client: what a trusted peer says of it last, else the peer's own. Of IPv6 it is the
        network of 64 bits, which is what one subscriber has."""
        peer = peer_host(request.peer)
        if self._trusted and is_trusted(peer, self._trusted):
            said = members(request.get(b"x-forwarded-for") or b"")
            if said:
                peer = said[-1].decode("latin-1")
        address = _address(peer) if ":" in peer else None
        return str(IPv6Address(int(address) >> 64 << 64)) if isinstance(address, IPv6Address) else peer

    def has_passed(self, request: Request) -> bool:
        """Whether `request` has come through here before: it goes round."""
        via = request.get(b"via")
        return via is not None and any(self._pseudonym in part.split() for part in members(via))

    def request_fields(self, request: Request) -> list[Field]:
        """The fields of the request to the upstream: Host first (unless it is the upstream's own), framing left out."""
        fields: list[Field] = []
        if self._keep_host and request.authority:
            fields.append((b"host", request.authority))
        before: dict[bytes, list[bytes]] = {}
        via: list[bytes] = []
        for field in end_to_end(request.fields):
            name = field[0]
            if name in self._plain:
                fields.append(field)
            elif name in _ANEW:
                continue
            elif name == b"via":
                via.append(field[1])
            elif is_forwarding(name):
                before.setdefault(name, []).append(field[1])
            elif not (b"_" in name and _is_disguised(name)):
                fields.append(field)
                self._learn(name)
        fields.append((b"via", b", ".join([*via, self._via[request.minor]])))
        peer = peer_host(request.peer)
        trusted = bool(self._trusted) and is_trusted(peer, self._trusted)
        if trusted and before:
            return fields + self._forwarded(request, peer, before)
        known = request.peer, request.scheme, request.authority
        said = self._said.get(known)
        if said is None:
            said = self._forwarded(request, peer, {})
            if len(request.authority) <= LONGEST_NAME:
                if len(self._said) >= KEPT:
                    self._said.clear()
                self._said[known] = said
        return fields + said

    def _learn(self, name: bytes) -> None:
        """Remember that fields of that name go on as they came."""
        if len(name) <= LONGEST_NAME:
            if len(self._plain) >= KEPT:
                self._plain.clear()
            self._plain.add(name)

    def _forwarded(self, request: Request, peer: str, before: dict[bytes, list[bytes]]) -> list[Field]:
        """Who the client is: what a trusted peer has said, and the peer itself."""
        authority, scheme = request.authority, request.scheme.encode("ascii")
        node = peer.encode("ascii", "replace") or b"unknown"
        quoted = b'"[%b]"' % node if b":" in node else node
        said = [b"for=" + quoted, b"proto=" + scheme]
        if authority:
            said.append(b"host=" + (authority if is_token(authority) else b'"%b"' % authority))
        fields = [
            (b"forwarded", b", ".join([*before.pop(b"forwarded", []), b";".join(said)])),
            (b"x-forwarded-for", b", ".join([*before.pop(b"x-forwarded-for", []), node])),
            (b"x-forwarded-proto", before.pop(b"x-forwarded-proto", [scheme])[-1]),
        ]
        host = before.pop(b"x-forwarded-host", [authority] if authority else [])
        if host:
            fields.append((b"x-forwarded-host", host[-1]))
        return fields + [(name, value) for name, values in before.items() for value in values]

    def answer_fields(self, fields: Fields, minor: int) -> list[Field]:
        """The fields of the answer to the client; framing is left out."""
        kept = end_to_end(fields)
        via = [value for name, value in kept if name == b"via"]
        if via:
            kept = [field for field in kept if field[0] != b"via"]
        kept.append((b"via", b", ".join([*via, self._via[minor]])))
        return kept
