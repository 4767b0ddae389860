"""Cookies (RFC 6265bis): those of a request, and the Set-Cookie of a response, whose every part is validated."""

import re
from email.utils import formatdate
from typing import TypedDict, Unpack

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_ATTRIBUTE = re.compile(r"[ -:<-~]+")
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}
MOST = 4096
"""Bytes of a name and its value together: browsers drop a longer cookie without a word (RFC 6265bis section 5.6)."""
MOST_OF_ATTRIBUTE = 1024


def parse_cookies(field: bytes) -> dict[str, str]:
    """The cookies of a Cookie field. Of two with one name the first is taken: browsers send the more specific one first
    (section 5.8.3). What is not a pair is left out."""
    cookies: dict[str, str] = {}
    for pair in field.split(b";"):
        name, equals, value = pair.strip(b" \t").partition(b"=")
        if not equals or not name:
            continue
        if len(value) > 1 and value[:1] == value[-1:] == b'"':
            value = value[1:-1]
        cookies.setdefault(name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    return cookies


class CookieAttributes(TypedDict, total=False):
    """What may be said of a cookie: `max_age` in seconds, `expires` in seconds since the epoch (with neither it ends
    with the browser's session), `path` (`/`), `domain` (this host alone), `secure`, `http_only` (true), `same_site`
    (`lax`; or `strict`, `none`), `partitioned`."""

    max_age: int
    expires: float
    path: str
    domain: str
    secure: bool
    http_only: bool
    same_site: str
    partitioned: bool


def cookie_field(name: str, value: str, **attributes: Unpack[CookieAttributes]) -> bytes:
    """The value of a Set-Cookie (section 4.1). Raises ValueError for what a browser would refuse, or read as something
    else; TypeError for another attribute."""
    if unknown := attributes.keys() - CookieAttributes.__annotations__.keys():
        raise TypeError(f"a cookie has no attribute {', '.join(sorted(unknown))}")
    _check_pair(name, value)
    secure, partitioned = attributes.get("secure", False), attributes.get("partitioned", False)
    path, domain = attributes.get("path", "/"), attributes.get("domain", "")
    max_age, expires = attributes.get("max_age"), attributes.get("expires")
    same_site, http_only = attributes.get("same_site", "lax"), attributes.get("http_only", True)
    site = _SAME_SITE.get(same_site.lower())
    if site is None:
        raise ValueError(f"cookie {name}: same_site is strict, lax or none, not {same_site!r}")
    if (site == "None" or partitioned) and not secure:
        raise ValueError(f"cookie {name}: same_site='none' and partitioned need secure=True")
    if name.startswith("__Secure-") and not secure:
        raise ValueError(f"cookie {name}: a name that begins with __Secure- needs secure=True")
    if name.startswith("__Host-") and (not secure or domain or path != "/"):
        raise ValueError(f"cookie {name}: a name that begins with __Host- needs secure=True, path='/' and no domain")
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age:d}")
    if expires is not None:
        parts.append(f"Expires={formatdate(expires, usegmt=True)}")
    for attribute, wanted in (("Path", path), ("Domain", domain)):
        if wanted:
            _check_attribute(name, attribute, wanted)
            parts.append(f"{attribute}={wanted}")
    parts.append(f"SameSite={site}")
    parts += [flag for flag, on in (("Secure", secure), ("HttpOnly", http_only), ("Partitioned", partitioned)) if on]
    return "; ".join(parts).encode("ascii")


def _check_pair(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f'cookie {name!r}: a name is a token, without spaces and ( ) < > @ , ; : \\ " / [ ] ? = {{ }}')
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"cookie {name}: a value is ASCII without spaces, quotes, commas, semicolons and backslashes;"
            " urllib.parse.quote makes one of any text"
        )
    if len(name) + len(value) > MOST:
        raise ValueError(f"cookie {name}: name and value have {len(name) + len(value)} bytes; browsers keep {MOST}")


def _check_attribute(name: str, attribute: str, value: str) -> None:
    if not _ATTRIBUTE.fullmatch(value) or len(value) > MOST_OF_ATTRIBUTE:
        most = f"at most {MOST_OF_ATTRIBUTE} ASCII characters"
        raise ValueError(f"cookie {name}: {attribute} is {most} without semicolons and control characters")
    if attribute == "Path" and not value.startswith("/"):
        raise ValueError(f"cookie {name}: a path begins with a slash, not {value!r}")
