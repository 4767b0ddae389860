"""How long a client's connection waits in each state: the defaults, and their reasons."""

from clerestory.statemachines.contract import Deadline

KEEP_ALIVE = Deadline(
    "keep-alive", "keep_alive_timeout", 15.0, "for the first or next request; longer than a browser's pause"
)
HANDSHAKE = Deadline(
    "handshake",
    "handshake_timeout",
    10.0,
    "for the TLS handshake, two round trips; not reset by each byte",
)
HEAD = Deadline(
    "head",
    "head_timeout",
    10.0,
    "for a whole head; not reset by each byte, which a slow-headers attack would do",
)
BODY = Deadline(
    "body",
    "body_timeout",
    30.0,
    "without a byte of the body",
    min_rate=240,
    rate_why="a body must come at, after the grace; stops one byte now and then",
    grace=5.0,
    grace_why="waiting for a body before its rate counts",
)
BACKEND = Deadline(
    "backend",
    "backend_timeout",
    75.0,
    "for an operation that a handler awaits, then 504, or for the next bytes of a streamed response; a route may set "
    "its own. More than the minute for which a backend of ours is waited for, and many event streams are silent",
)
HALF_CLOSE = Deadline(
    "half-close",
    "half_close_timeout",
    5.0,
    "for the next bytes of a stream, or for an upstream's answer, once the client has shut down its sending side: most "
    "that do have gone; 0 gives up at once; a route may say otherwise",
)
SEND = Deadline(
    "send",
    "send_timeout",
    30.0,
    "without the client taking a byte of the response",
    min_rate=240,
    rate_why="a client must take a response at, after the grace; stops slow readers",
    grace=5.0,
    grace_why="waiting for the socket before its rate counts",
)
EXCHANGE = Deadline(
    "exchange",
    "exchange_timeout",
    60.0,
    "without a byte either way while a response is sent and its request still comes",
    idle=True,
)
TUNNEL = Deadline(
    "tunnel",
    "tunnel_timeout",
    300.0,
    "without a byte either way; most WebSocket peers send a ping more often",
    idle=True,
)
LINGER = Deadline(
    "linger",
    "linger_timeout",
    2.0,
    "without a byte of what the client still sends after our last response, before we close; time to read it",
    idle=True,
)
