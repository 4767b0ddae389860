"""The peers' environment: what it holds, and what is said when it cannot be made."""

from pathlib import Path

import pytest

from benchmarks.environment import PACKAGES, Peers, PeersUnavailable


def test_an_environment_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert Peers(tmp_path / "none").versions == {}


def test_what_is_there_is_not_made_again_and_only_what_is_missing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    names = [package.partition("[")[0].replace("_", "-") for package in PACKAGES if package != "asyncpg"]
    monkeypatch.setattr(Peers, "versions", dict.fromkeys(names, "1.0"))
    tried: list[str] = []

    def install(_: Peers, package: str) -> bool:
        tried.append(package)
        return True

    monkeypatch.setattr(Peers, "_install", install)
    said: list[str] = []
    Peers(tmp_path).make(said.append)
    assert (said, tried) == ([], ["asyncpg"])


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PeersUnavailable, match=r"python -m venv .* failed"):
        Peers(tmp_path / "file" / "beneath").make(lambda _: None)


def test_a_package_that_does_not_install_keeps_no_other_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    said: list[str] = []

    def install(_: Peers, package: str) -> bool:
        tried.append(package)
        return package != "granian"

    monkeypatch.setattr(Peers, "_install", install)
    monkeypatch.setattr("benchmarks.environment.subprocess.run", lambda *_, **__: None)
    Peers(tmp_path).make(said.append)
    assert tried == list(PACKAGES)
    assert said[-1].endswith(": granian")


def test_an_installed_environment_tells_versions(peers: Peers) -> None:
    if not peers.versions:
        pytest.skip("the peers are not installed")
    assert all(version[0].isdigit() for version in peers.versions.values())
