"""The options of TLS on the listening side."""

from typing import get_args

from clerestory.server.cli.options.option import Group, Option
from clerestory.server.cli.values import HSTS, LISTEN, PATH, PORT, SWITCH, choice
from clerestory.server.options import HTTP2Choice

TLS = Group(
    "tls", "TLS", "With a certificate, the server speaks TLS 1.2 and 1.3 on every address, and serves https://."
)

HTTP2 = Group("http2", "HTTP/2", "It takes the extra http2: pip install h2.")

HTTP2_OPTIONS = (
    Option(
        "http2",
        HTTP2,
        choice(get_args(HTTP2Choice), "HTTP2"),
        "auto",
        "Offer HTTP/2 to clients that speak TLS (ALPN): auto where it is installed, or off",
        meanings=("h2", "http-2", "http2-only", "alpn"),
    ),
    Option(
        "h2c",
        HTTP2,
        SWITCH,
        False,
        "Speak HTTP/2 without TLS, too, with clients that begin with it (prior knowledge), such as a proxy in front",
        meanings=("http2-cleartext", "http2-prior-knowledge", "prior-knowledge"),
    ),
)

TLS_OPTIONS = (
    Option(
        "tls_certificate",
        TLS,
        PATH,
        (),
        "Serve https:// with the certificate in this PEM file, followed by those that vouch for it. Of several, the "
        "one for the name that the client asks for is shown, else the first. New files are taken without a restart",
        brief="Serve https:// with this certificate; repeatable",
        repeated=True,
        spellings=("certfile", "ssl-certfile", "ssl-certificate"),
        meanings=("ssl", "tls", "https", "cert", "certificate", "tls-cert"),
    ),
    Option(
        "tls_key",
        TLS,
        PATH,
        (),
        "Its private key, in PEM: one for each certificate, in the same order",
        default_help="in the certificate's file",
        repeated=True,
        spellings=("keyfile", "ssl-keyfile"),
        meanings=("key", "private-key", "ssl-key"),
    ),
    Option(
        "tls_client_ca",
        TLS,
        PATH,
        None,
        "Serve only clients that show a certificate for which an authority in this PEM file vouches",
        default_help="clients are not asked for one",
        spellings=("ssl-ca-certs",),
        meanings=("mtls", "client-ca", "client-certificate", "ca-certs"),
    ),
    Option(
        "tls_self_signed",
        TLS,
        SWITCH,
        False,
        "For development: serve https:// with a certificate that is made at the start, which clients do not trust",
        meanings=("self-signed", "dev-cert", "adhoc"),
    ),
    Option(
        "redirect_http",
        TLS,
        LISTEN,
        (),
        "Listen there without TLS, written as for --listen, and answer every request with 308 and its https:// URL, if "
        "a certificate is for the host that it names, else with 421",
        default_help="nowhere",
        repeated=True,
        meanings=("force-https", "https-redirect", "http-redirect", "redirect-to-https", "insecure-bind"),
    ),
    Option(
        "redirect_port",
        TLS,
        PORT,
        0,
        "Redirect to https:// on this port, where clients do not reach the server by the port that it listens on",
        default_help="the port of the first address with TLS",
        meanings=("https-port", "public-port"),
    ),
    Option(
        "hsts",
        TLS,
        HSTS,
        None,
        "Tell browsers over TLS to use https:// only, for so many seconds or days, such as 365d (RFC 6797); subdomains "
        "and preload may follow: 730d,subdomains,preload. It cannot be taken back before that time",
        default_help="not said",
        off=None,
        meanings=("strict-transport-security",),
    ),
)
