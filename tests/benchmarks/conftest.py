"""The data that the applications serve, with a large file that is not so large, and the peers' environment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import work
from benchmarks.environment import Peers


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the database and the files; the environment says where it is."""
    directory = tmp_path_factory.mktemp("data")
    work.prepare(directory, {work.SMALL_FILE: 16 * 1024, work.LARGE_FILE: 2 * 1024 * 1024})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(work.DATA, str(directory))
        yield directory
    if (database := getattr(work._thread, "database", None)) is not None:
        database.close()
        del work._thread.database


@pytest.fixture(scope="session")
def peers() -> Peers:
    """The peers' environment as it is: no test installs anything."""
    return Peers()


@pytest.fixture
def wrk() -> str:
    """The path of wrk."""
    path = shutil.which("wrk")
    if path is None:
        pytest.skip("wrk is not installed")
    return path
