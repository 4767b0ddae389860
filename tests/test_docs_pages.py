"""The pages of docs/ about running it: their commands parse, their files are taken, their links lead somewhere."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from clerestory.server.cli.arguments import parse
from clerestory.server.cli.assembly import options_of
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.reference import renewed
from clerestory.server.cli.settings import Settings
from clerestory.server.cli.sites import plans_of
from clerestory.server.cli.sources import SITES, from_environment, from_file

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text()
    for name in (
        *("configuration", "listening", "tls", "workers", "behind-a-proxy", "systemd-and-docker", "at-the-edge"),
        *("static-files", "asgi-applications", "wsgi-applications", "postgresql", "reverse-proxy", "opentelemetry"),
    )
}
TEXTS = PAGES | {"deploy": (ROOT / "deploy" / "README.md").read_text()}
COMMANDS = [
    line.partition("  #")[0].rstrip()
    for text in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
    if "clerestory " in line
]
FILES = [block for text in PAGES.values() for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one(command: str) -> None:
    words = shlex.split(command)
    at = words.index("clerestory")
    variables = dict(word.split("=", 1) for word in words[:at])
    given = [*parse(words[at + 1 :]).given, *from_environment(variables)]
    options_of(Settings(given), "")


def test_there_are_commands_and_files() -> None:
    assert len(COMMANDS) > 35
    assert len(FILES) >= 3


@pytest.mark.parametrize("text", FILES)
def test_a_file_is_taken(text: str) -> None:
    content = tomllib.loads(text)
    settings = Settings(from_file(content, "x.toml"), tuple(content.get(SITES, [])), "x.toml")
    assert len(plans_of(settings)) == max(1, len(content.get(SITES, [])))


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGES["behind-a-proxy"], re.DOTALL)
    here = f"error_log stderr; pid {tmp_path}/pid; events {{}}\n"
    (tmp_path / "nginx.conf").write_text(f"{here}http {{ access_log off;\n{found}}}\n")
    command = ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TEXTS)
def test_every_option_that_a_page_names_is_there(name: str) -> None:
    known = {option.flag for option in BY_NAME.values()} | {f"--no-{option.key}" for option in BY_NAME.values()}
    others = {"--stop-timeout", "--timeout", "--kind", "--times"}  # of Docker, gunicorn, ps and rsync
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", TEXTS[name]))
    assert named - known - others == set()


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = ROOT / ("deploy" if name == "deploy" else "docs")
    links = re.findall(r"\]\(([^)#:]+)\)", TEXTS[name])
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_list_of_options_is_the_table() -> None:
    """Written anew by python -m clerestory.server.cli.reference docs/configuration.md."""
    assert renewed(PAGES["configuration"]) == PAGES["configuration"]
