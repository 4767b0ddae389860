"""The token, the keys of links and the sessions: what opens, how often, and for how long."""

from clerestory.server.xray.serve.keys import KEYS, LASTS, SESSIONS, Keys


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_opens_one_session() -> None:
    keys = Keys("word", Clock())
    key = keys.new_key().encode()
    assert not keys.opens(key)
    session = keys.open_session(key)
    assert session is not None
    assert keys.opens(session.encode())
    assert keys.open_session(key) is None
    assert keys.open_session(session.encode()) is None


def test_a_key_is_too_old_after_its_time() -> None:
    clock = Clock()
    keys = Keys("", clock)
    early, late = keys.new_key(), keys.new_key()
    clock.now += LASTS - 0.001
    assert keys.open_session(early.encode()) is not None
    clock.now += 0.001
    assert keys.open_session(late.encode()) is None


def test_the_token_opens_everything_and_any_number_of_sessions() -> None:
    keys = Keys("word", Clock())
    assert keys.opens(b"word")
    assert keys.open_session(b"word") != keys.open_session(b"word")
    for wrong in (b"", b"wor", b"words", b"\xff", "w\u00f6rd".encode()):
        assert not keys.opens(wrong)
        assert keys.open_session(wrong) is None


def test_a_token_is_made_up_where_none_is_given() -> None:
    one, other = Keys("", Clock()), Keys("", Clock())
    assert len(one.token) >= 32
    assert one.token != other.token


def test_a_further_key_and_a_further_session_replace_the_oldest() -> None:
    keys = Keys("word", Clock())
    first = keys.new_key()
    for _ in range(KEYS):
        last = keys.new_key()
    assert keys.open_session(first.encode()) is None
    assert keys.open_session(last.encode()) is not None
    sessions = [keys.open_session(b"word") or "" for _ in range(SESSIONS + 1)]
    assert not keys.opens(sessions[0].encode())
    assert all(keys.opens(one.encode()) for one in sessions[1:])


def test_no_secret_is_kept_but_as_a_digest() -> None:
    keys = Keys("word", Clock())
    key = keys.new_key()
    session = keys.open_session(b"word") or "-"
    assert key not in repr(vars(keys))
    assert session not in repr(vars(keys))
