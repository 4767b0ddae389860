"""What a browser shows of an error: a small page that loads nothing, in light or dark as the reader has it."""

from html import escape

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72ch;margin:12vh auto;padding:0 1em}"
    "h1{font-size:1.5em;font-weight:600;overflow-wrap:anywhere}h2{font-size:1em}p{overflow-wrap:anywhere}"
    "code,pre{font:14px/1.5 ui-monospace,monospace}pre{overflow-x:auto;padding:.6em 0}"
    "mark{background:#c0574f33;color:inherit}"
)


def page(title: str, content: str) -> str:
    """A page of `content`, which is HTML, below `title`, which is text."""
    head = escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{head}</title><style>{_STYLE}</style></head>\n<body><h1>{head}</h1>\n{content}</body></html>\n"
    )


def error_page(status: int, reason: str, detail: str, named: str = "") -> str:
    """The page of an error: status and reason, one sentence, and the words that name its request."""
    about = f"<p><small>{escape(named)}</small></p>\n" if named else ""
    return page(f"{status} {reason}", (f"<p>{escape(detail)}</p>\n" if detail else "") + about)
