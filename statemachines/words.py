"""The states of the machines in plain words, for people who meet them for the first time.

A state whose name says it already ("connecting", "reading body") is not listed.
"""

from collections.abc import Mapping

PLAIN: Mapping[str, Mapping[str, str]] = {
    "connection": {
        "AWAITING_REQUEST": "waiting for a request",
        "HANDSHAKING": "TLS handshake",
        "READING_HEAD": "reading the head",
        "READING_BODY": "reading the body",
        "QUERYING_BACKEND": "waiting for a response",
        "PRODUCING": "waiting for the rest",
        "HALF_CLOSED": "client sends no more",
        "SENDING_RESPONSE": "sending the response",
        "EXCHANGING": "sending and reading",
        "TUNNELLING": "passing bytes on",
        "LINGERING": "closing the connection",
    },
    "h2_connection": {
        "AWAITING_PREFACE": "waiting for HTTP/2",
        "NEGOTIATING": "exchanging settings",
        "AWAITING_REQUEST": "waiting for a request",
        "SERVING": "serving its streams",
        "SENDING": "sending frames",
        "DRAINING": "finishing its streams",
        "LINGERING": "closing the connection",
    },
    "h2_stream": {
        "IDLE": "beginning",
        "READING_BODY": "reading the body",
        "QUERYING_BACKEND": "waiting for a response",
        "PRODUCING": "waiting for the rest",
        "SENDING_RESPONSE": "sending the response",
        "AWAITING_WINDOW": "client takes no more",
        "EXCHANGING": "sending and reading",
    },
    "upstream": {
        "HANDSHAKING": "TLS handshake",
        "SENDING_REQUEST": "sending the request",
        "AWAITING_CONTINUE": "waiting for 100",
        "AWAITING_PIECE": "waiting for the body",
        "AWAITING_RESPONSE": "waiting for a response",
        "EXCHANGING": "sending and reading",
        "TUNNELLING": "passing bytes on",
        "HOLDING_BODY": "client takes no more",
        "READING_BODY": "reading the response",
        "IDLE": "kept for reuse",
    },
    "postgres": {
        "AUTHENTICATING": "logging in",
        "IDLE": "kept for reuse",
        "SENDING_QUERY": "sending the query",
        "PREPARING": "preparing a statement",
        "AWAITING_RESULT": "waiting for the result",
        "IN_TRANSACTION": "held in a transaction",
        "RESETTING": "being reset",
    },
    "postgres_cancel": {
        "SENDING": "sending the request",
        "AWAITING_CLOSE": "waiting for its end",
    },
    "work": {
        "QUEUED": "waiting for a thread",
        "RUNNING": "running in a thread",
        "ABANDONED": "running, not wanted",
    },
    "task": {
        "READY": "waiting for its turn",
        "AWAITING_OPERATION": "waiting",
    },
    "wsgi": {
        "QUEUED": "waiting for a thread",
        "RUNNING": "running in a thread",
        "AWAITING_BODY": "waiting for the body",
        "PRODUCING": "waiting for the rest",
        "AWAITING_ROOM": "client takes no more",
        "LEAVING": "ending",
    },
    "application": {
        "AWAITING_BODY": "waiting for the body",
        "AWAITING_DISCONNECT": "waiting for its end",
        "PRODUCING": "waiting for the rest",
        "AWAITING_ROOM": "client takes no more",
        "CONVERSING": "WebSocket is open",
        "RUNNING_ON": "running after the end",
        "CANCELLING": "being cancelled",
    },
    "websocket": {
        "OPENING": "sending 101",
        "AWAITING_PONG": "waiting for a pong",
        "AWAITING_ROOM": "client takes no more",
        "AWAITING_APPLICATION": "application is behind",
        "PEER_CLOSING": "client has said close",
        "UNTAKEN": "ended, not all taken",
    },
    "listener": {
        "ACCEPTING": "accepting connections",
        "PAUSED": "accepting none",
        "REFUSING": "refusing with 503",
    },
    "process": {
        "AWAITING_LAST_REQUESTS": "no new connections",
        "DRAINING": "finishing requests",
    },
    "proxy_protocol": {
        "AWAITING_HEADER": "waiting for a header",
    },
    "resolution": {
        "ASKING": "asking the resolver",
    },
    "upstream_slot": {
        "WAITING": "waiting for its turn",
    },
    "postgres_slot": {
        "WAITING": "waiting for its turn",
    },
}


def words_of(table: str, state: str) -> str:
    """`waiting for a request`"""
    return PLAIN.get(table, {}).get(state) or state.lower().replace("_", " ")
