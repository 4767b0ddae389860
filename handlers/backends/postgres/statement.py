"""What a statement's text says: what the session may remember of it; and how often it is used.

A session with PostgreSQL remembers more than a transaction does: settings (`SET`, `set_config`), the role, advisory
locks, temporary tables, channels listened to, cursors, statements prepared by SQL. One request must not see
what another has left there: a setting such as `app.user` decides about rights. So a session is reset unless the
statements run on it are *known* to leave nothing behind. For `mark_of` these are

- statements about the transaction itself (BEGIN, COMMIT, SAVEPOINT, SET LOCAL, LOCK, ...), SHOW and NOTIFY;
- a query (SELECT, VALUES, TABLE, WITH) that calls only functions in HARMLESS, which are PostgreSQL's own, or
  `set_config(..., ..., true)`, which is a setting for the transaction.

Anything else leaves a mark: a function that is not in the list may do anything, and so may the triggers of a table that
is written to, unless `Database(harmless=...)` says that they leave nothing behind. A text with a comment, a
backslash or a dollar-quoted string is too hard to analyse, and leaves a mark, too.

The text does not show a view, policy, operator or cast whose own function changes the session, or a function of the
application with the name of one in the list: use `Database(reset_always=True)` for such a schema.
"""

import enum
import re
from collections.abc import Collection

Key = tuple[bytes, tuple[int, ...]]
"""A statement and the types of its parameters."""

MAX_KNOWN = 500
"""Statements that are counted, least recently used first out: five for each that may be prepared."""

MAX_LENGTH = 16 * 1024
"""Bytes of a statement that is counted, or analysed: with MAX_KNOWN, 8 MiB. Longer ones are lists of values."""


class Mark(enum.IntEnum):
    """What a session may remember of the statements run on it."""

    NOTHING = 0
    SESSION = 1
    """Settings, locks, temporary tables, cursors and the like."""
    STATEMENTS = 2
    """The same, and statements prepared by SQL; or those prepared here may be gone."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOTHING = _words("BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT RELEASE SHOW NOTIFY LOCK")
_SET_NOTHING = frozenset({"LOCAL", "CONSTRAINTS", "TRANSACTION"})
_QUERIES = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_STATEMENTS = _words("PREPARE EXECUTE DEALLOCATE DISCARD DO CALL")
_CHANGES = frozenset({"INSERT", "DELETE", "MERGE", "INTO", "UPDATE"})

HARMLESS = _words(
    """
    abs age array_agg array_append array_cat array_length array_position array_prepend array_remove array_to_json
    array_to_string ascii avg bit_length bool_and bool_or btrim cardinality ceil ceiling char_length
    character_length chr clock_timestamp concat concat_ws count cume_dist current_database current_schema
    current_setting date_bin date_part date_trunc decode dense_rank div encode every exp extract first_value floor
    format gen_random_uuid generate_series host initcap isfinite json_agg json_array_elements
    json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
    json_object_agg json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_object_agg jsonb_object_keys
    jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_set jsonb_strip_nulls jsonb_typeof lag
    last_value lead left length ln log lower lpad ltrim make_date make_interval make_time make_timestamp
    make_timestamptz max md5 min mod mode now nth_value ntile octet_length overlay percent_rank percentile_cont
    percentile_disc pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid pg_column_size pg_sleep
    pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_typeof phraseto_tsquery plainto_tsquery position
    power quote_ident quote_literal quote_nullable random range_agg rank regexp_count regexp_match regexp_matches
    regexp_replace regexp_split_to_array regexp_split_to_table repeat replace reverse right round row_number
    row_to_json rpad rtrim setweight sha256 sign split_part sqrt starts_with statement_timestamp stddev string_agg
    string_to_array strpos substr substring sum timezone to_char to_date to_json to_jsonb to_number to_regclass
    to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trunc ts_headline ts_rank ts_rank_cd
    unnest upper variance version websearch_to_tsquery width_bucket
    """
)
"""PostgreSQL's own functions that leave nothing behind on a session."""

_NO_FUNCTIONS = _words(
    """
    all and any array as between bit by case cast char character coalesce cube current_time current_timestamp
    decimal distinct else except exists fetch filter float from greatest group grouping having ilike in intersect
    interval is join lateral least like limit localtime localtimestamp materialized not nullif numeric offset on
    or over rollup row select sets some then time timestamp timestamptz union using values varbit varchar varying
    when where within
    """
)
"""SQL keywords that may come before a parenthesis."""

_HARD = re.compile(r"--|/\*|\\|\$[A-Za-z_\x80-\U0010ffff]?[\w\x80-\U0010ffff]*\$|\bU&", re.IGNORECASE)
"""Comments, escapes, dollar quotes: in them, or after them, the tokens below would be wrong."""

_LOCAL = re.compile(
    r"""(?<![\w.$"])set_config\s*\(\s*(?:'[^']*'|\$\d+)(?:::\w+)?\s*,\s*(?:'[^']*'|\$\d+)(?:::\w+)?\s*,\s*true\s*\)""",
    re.IGNORECASE,
)
"""A setting until the end of the transaction: SET LOCAL, with parameters."""

_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*|\S""")
"""For PostgreSQL every character above ASCII is a letter, even a space or a currency sign."""

_NAMED = re.compile(r'[A-Za-z_"\x80-\U0010ffff]')


def mark_of(statement: bytes, harmless: frozenset[str] = frozenset()) -> Mark:
    """What a session may remember of `statement`. `harmless` are functions and words such as `insert`, in lower
    case, that leave nothing behind, in addition to HARMLESS."""
    text = statement[:MAX_LENGTH].decode("utf-8", "replace")
    words = text.split(None, 2)
    first = words[0].upper().rstrip(";") if words else ""
    if first in _STATEMENTS or not first:
        return Mark.STATEMENTS
    if len(statement) > MAX_LENGTH or _HARD.search(text):
        # After a comment there may be PREPARE; not after a keyword of another statement.
        return Mark.SESSION if first.isalpha() else Mark.STATEMENTS
    if first in _NOTHING or (first == "SET" and len(words) > 1 and words[1].upper() in _SET_NOTHING):
        return Mark.NOTHING
    tokens = _TOKEN.findall(_LOCAL.sub("1", text))
    if first.partition("(")[0] not in _QUERIES and first[0] != "(" and first.lower() not in harmless:
        return Mark.SESSION
    return Mark.SESSION if _changes_session(tokens, harmless) else Mark.NOTHING


def _changes_session(tokens: list[str], harmless: frozenset[str]) -> bool:
    """Whether a query of these tokens writes, or calls a function that is not known to be harmless."""
    before = last = ""
    for found in tokens:
        if found == "(" and _NAMED.match(last):
            word = last.lower()
            known = word in HARMLESS or word in _NO_FUNCTIONS or word in harmless
            if before == "." or not (known or _is_target(before, harmless)):
                return True
        if found.upper() in _CHANGES and not _is_known_to_change(last.lower(), found.lower(), harmless):
            return True
        before, last = last, found
    return False


def _is_known_to_change(before: str, word: str, harmless: frozenset[str]) -> bool:
    """Whether `word` does not write (FOR UPDATE), or is known to leave nothing behind."""
    if word == "into":
        return before in ("insert", "merge") and before in harmless
    return word in harmless or (word == "update" and before in ("for", "key"))


def _is_target(before: str, harmless: frozenset[str]) -> bool:
    """Whether a name after `before` is a table that is written to, whose columns follow in parentheses."""
    return before.upper() == "INTO" and "insert" in harmless


class Known:
    """How often a statement has been used, and what a session may remember of it."""

    __slots__ = ("mark", "uses")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.uses = 0


class Statements:
    """The statements used most recently, at most MAX_KNOWN; each leaves at least the mark `least`."""

    def __init__(self, least: Mark = Mark.NOTHING, harmless: Collection[str] = ()) -> None:
        self._least = least
        self._harmless = frozenset(word.lower() for word in harmless)
        self._known: dict[Key, Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def count(self, key: Key) -> Known:
        """Count one more use of the statement."""
        known = self._known.pop(key, None)
        if known is None:
            known = Known(max(self._least, mark_of(key[0], self._harmless)))
            if len(key[0]) > MAX_LENGTH:
                return known
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
        self._known[key] = known
        known.uses += 1
        return known
