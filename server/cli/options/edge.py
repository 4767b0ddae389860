"""The options of what stands around an application, whatever kind it is: compression, cross-origin requests, passwords,
rates, redirects and pages for errors. All of them may be set for a site alone."""

from clerestory.server.cli.options.option import Group, Option
from clerestory.server.cli.values import (
    ERROR_PAGE,
    MEDIA_TYPE,
    ORIGIN,
    PATH,
    RATE,
    REDIRECT,
    SWITCH,
    TOKENS,
    kind_of,
)

COMPRESSION = Group(
    "compression",
    "Compression of responses",
    "gzip always; zstd and br where they are installed: pip install zstandard brotli. A page that holds a\n"
    "secret beside something that its requester chose gives the secret away by its length (BREACH): let it say\n"
    "Cache-Control: no-transform, or set compress = false for its site.",
)

CROSS_ORIGIN = Group("cors", "Cross-origin requests (CORS)", "Which pages of other origins may read what is served.")
ACCESS = Group(
    "access",
    "Who is let in, how often, and where to",
    "A line for --basic-auth is made by htpasswd -B, or by python3 -m clerestory.handlers.edge.passwords USER.\n"
    "Each worker counts for itself.",
)

EDGE_OPTIONS = (
    Option(
        "compress",
        COMPRESSION,
        SWITCH,
        False,
        "Compress responses as the client's Accept-Encoding asks for it: what is text, has no coding yet, and does not "
        "say Cache-Control: no-transform. A stream is flushed with each piece",
        meanings=("gzip", "compression", "deflate", "brotli", "zstd", "encode"),
    ),
    Option(
        "compress_min_size",
        COMPRESSION,
        kind_of("bytes", zero=True),
        1024,
        "Leave shorter responses as they are",
        meanings=("gzip-min-length", "compression-threshold"),
    ),
    Option(
        "compress_type",
        COMPRESSION,
        MEDIA_TYPE,
        (),
        "Compress this media type, such as text/html or application/*+json, instead of the usual ones",
        default_help="text, JSON, XML, JavaScript, SVG and the like",
        repeated=True,
        meanings=("gzip-types", "compression-types"),
    ),
    Option(
        "compress_streams",
        COMPRESSION,
        kind_of("responses", zero=True),
        256,
        "Compress so many responses at once that are longer than 32K, or of unknown length; others are sent as they "
        "are. Each takes up to 1M of memory",
    ),
    Option(
        "cors",
        CROSS_ORIGIN,
        ORIGIN,
        (),
        "Let pages of this origin read responses: https://app.example, https://*.app.example, or * for every origin",
        default_help="what the application says",
        repeated=True,
        meanings=("cross-origin", "allow-origin", "access-control-allow-origin", "allow-origins"),
    ),
    Option(
        "cors_credentials",
        CROSS_ORIGIN,
        SWITCH,
        False,
        "Let them send cookies and credentials; not with --cors '*'",
        meanings=("allow-credentials",),
    ),
    Option(
        "cors_methods",
        CROSS_ORIGIN,
        TOKENS,
        (),
        "Let them use these methods",
        default_help="GET, HEAD, POST, PUT, PATCH, DELETE",
        repeated=True,
        meanings=("allow-methods",),
    ),
    Option(
        "cors_fields",
        CROSS_ORIGIN,
        TOKENS,
        (),
        "Let their requests have these fields",
        default_help="Authorization, Content-Type",
        repeated=True,
        meanings=("cors-headers", "allow-headers"),
    ),
    Option(
        "cors_exposed",
        CROSS_ORIGIN,
        TOKENS,
        (),
        "Let them read these fields of responses",
        default_help="those that browsers always show",
        repeated=True,
        meanings=("expose-headers",),
    ),
    Option(
        "cors_max_age",
        CROSS_ORIGIN,
        kind_of("seconds", zero=True),
        600.0,
        "Let browsers keep the answer to a preflight request for so many seconds",
    ),
    Option(
        "basic_auth",
        ACCESS,
        PATH,
        None,
        "Let in only users of this file, by name and password (RFC 7617): lines of USER:HASH, hashed with bcrypt or "
        "scrypt. Use it over TLS",
        default_help="everybody",
        off=None,
        meanings=("auth", "htpasswd", "auth-basic", "password", "passwd", "basicauth", "auth-basic-user-file"),
    ),
    Option(
        "rate_limit",
        ACCESS,
        RATE,
        None,
        "Answer 429 to a client address (of IPv6, to a /64 network) that asks more often: 10/s, 100/m or 1000/h, with "
        "as many at once, or those that ,burst=20 allows. Behind a proxy that --trust names, its client counts",
        default_help="as often as they like",
        off=None,
        meanings=("limit-req", "ratelimit", "throttle", "max-requests-per-second", "requests-per-second"),
    ),
    Option(
        "redirect",
        ACCESS,
        REDIRECT,
        (),
        "Answer this path with a redirect: /old=/new, or '/blog/*=https://blog.example/*', with status 308 or the one "
        "behind a comma: /a=/b,302. In a site, paths are without its prefix",
        default_help="none",
        repeated=True,
        meanings=("redirects", "rewrite-url", "moved", "return-301"),
    ),
    Option(
        "error_page",
        ACCESS,
        ERROR_PAGE,
        (),
        "Send this page with errors of the server itself: 404=errors/404.html, 5xx=errors/sorry.html. An "
        "application's own answers are left alone, and a client that prefers JSON gets JSON",
        default_help="a line of text",
        repeated=True,
        meanings=("error-pages", "custom-404", "error-document"),
    ),
)
