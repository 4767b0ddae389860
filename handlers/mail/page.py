"""The front page: what there is and how to try it. One file, no script, no external resources, light and dark."""

from html import escape
from string import Template

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Clerestory: mail</title>
<style>
:root { --ink: #1c2430; --quiet: #5d6878; --line: #e3e7ee; --paper: #fbfbf9; --card: #ffffff; --accent: #8a5a00;
  --code: #f3f1ea; --glow: #f6d58a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaef; --quiet: #98a2b3; --line: #2b3240; --paper: #11151c; --card: #171c25; --accent: #f0c063;
    --code: #0d1117; --glow: #7a5a1e }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 46rem; padding: 3rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 1.0625rem/1.6 system-ui, sans-serif }
svg { display: block; width: 100%; height: 3.5rem; margin-bottom: 1.5rem; fill: var(--glow) }
h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em; line-height: 1.2 }
h1 + p { margin: .5rem 0 2.5rem; color: var(--quiet) }
section { margin: 0 0 1rem; padding: 1rem 1.25rem 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem }
h2 { margin: 0; font: 600 1rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere }
h2 b { display: inline-block; min-width: 3.2rem; color: var(--accent) }
section p { margin: .2rem 0 .7rem; color: var(--quiet) }
a { color: inherit; text-decoration-color: var(--accent); text-underline-offset: .2em }
pre { margin: 0; padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code);
  border-radius: .4rem; font: .875rem/1.5 ui-monospace, monospace }
code { font: .9em ui-monospace, monospace }
footer { margin-top: 2.5rem; color: var(--quiet); font-size: .9375rem }
</style>
</head>
<body>
<svg viewBox="0 0 460 35" preserveAspectRatio="xMidYMid meet" aria-hidden="true"><path d="$windows"/></svg>
<h1>Clerestory</h1>
<p>A small mail service, served by connections that are state machines. $stored</p>

<section>
<h2><b>GET</b> <a href="emails">/emails</a></h2>
<p>A page of messages: <code>limit</code> from 1 to 100, <code>after</code> the last number you have.</p>
<pre>curl '$url/emails?limit=3&amp;after=40'</pre>
</section>

<section>
<h2><b>GET</b> <a href="emails/42">/emails/42</a></h2>
<p>One message.</p>
<pre>curl $url/emails/42</pre>
</section>

<section>
<h2><b>POST</b> /emails</h2>
<p>A new message. An error response names the field.</p>
<pre>curl $url/emails -d '{"sender": "you@example.org", "subject": "news", "body": "It works."}'</pre>
</section>

<section>
<h2><b>POST</b> /inboxes/<a href="inboxes/ada">ada</a></h2>
<p>Put a message into an inbox, in one transaction: 201; 404 if either does not exist, 409 if it is already there,
507 if the inbox is full. The inbox <a href="inboxes/tiny">tiny</a> has room for three.</p>
<pre>curl $url/inboxes/ada -d '{"email_id": 42}'
curl $url/inboxes/ada</pre>
</section>

<section>
<h2><b>POST</b> /echo</h2>
<p>Returns the body, piece by piece as it arrives.</p>
<pre>curl $url/echo -d 'is anybody there?'
seq 100000 | curl $url/echo -T - -X POST | tail -1</pre>
</section>

<footer>Try a wrong method, or <code>curl -X OPTIONS</code>, on any path: the response lists the allowed ones.</footer>
</body>
</html>
""")

# A row of high windows, each a rectangle under a round arch.
_WINDOWS = " ".join(f"M{x} 35v-18a9 9 0 0 1 18 0v18z" for x in range(5, 455, 30))


def page(authority: str, place: str = "") -> str:
    """The page, with curl examples for `authority`; `place` is the name of the database, empty for one in memory."""
    stored = f"The messages are kept in {place}." if place else "A thousand sample messages are kept in memory."
    url = f"http://{authority or 'localhost:8000'}"
    return _PAGE.substitute(windows=_WINDOWS, url=escape(url), stored=escape(stored))
