"""From the settings to what serves: limits, how an application is called, what a reverse proxy asks, and the options of
the process. Options that are not for the target at hand are refused here."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from clerestory.server.cli.arguments import Typed, parse
from clerestory.server.cli.interfaces import How
from clerestory.server.cli.options.option import Goal
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.settings import Given, Rank, Settings, UsageError
from clerestory.server.cli.sources import SITES, find_file, from_environment, from_file, load_file
from clerestory.server.cli.targets import Origins, is_url
from clerestory.server.cli.tls import tls_of
from clerestory.server.config import OPTIONS, Limits
from clerestory.server.net.addresses import SYSTEMD
from clerestory.server.options import Options
from clerestory.statemachines.engine import Dispatch

THIS_MACHINE = ("127.0.0.0/8", "::1")
"""Whom --proxy-headers believes."""


def gather(words: Sequence[str], variables: Mapping[str, str]) -> tuple[Typed, Settings]:
    """What was typed, and what holds, from all sources. Raises UsageError."""
    typed = parse(words)
    if typed.help is not None or typed.version:
        return typed, Settings()
    given = [*typed.given, *from_environment(variables)]
    path = find_file(Settings(given)["config"])
    content = load_file(path) if path else {}
    sites = content.get(SITES, [])
    if not isinstance(sites, list) or not all(isinstance(site, dict) for site in sites):
        raise UsageError(f"{path}: each site is a table of its own: [[{SITES}]]")
    settings = Settings([*from_file(content, path), *given], tuple(sites), path)
    return typed, settings


def limits_of(settings: Mapping[str, Any]) -> Limits:
    """The limits among the settings."""
    return Limits(**{field.name: settings[field.name] for field in OPTIONS})


def trusted_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The networks whose peers are believed."""
    trusted: tuple[str, ...] = settings["trust"]
    return (*THIS_MACHINE, *trusted) if settings["proxy_headers"] else trusted


def how_of(settings: Mapping[str, Any]) -> How:
    """How an application is called."""
    return How(
        interface=settings["interface"],
        factory=settings["factory"],
        app_dir=settings["app_dir"],
        lifespan=settings["lifespan"],
        root_path=settings["root_path"],
        prefix=settings.get("prefix", ""),
        spec_version=settings["asgi_spec"],
        trusted=trusted_of(settings),
    )


def target_of(settings: Mapping[str, Any]) -> str | Origins | None:
    """TARGET; of a reverse proxy with what belongs to it."""
    target: str | None = settings["target"]
    if target is None or not is_url(target):
        return target
    return Origins(
        (target, *settings["upstream"]),
        trusted_of(settings),
        settings["upstream_host"],
        settings["probe"],
        settings["upstream_ca"],
    )


def goal_of(target: str | None) -> Goal | None:
    """What kind of target that is, as far as the word tells; None where it may be any or none."""
    if target is None:
        return Goal.MAIL_SITE
    if is_url(target):
        return Goal.PROXY
    if os.path.isdir(target):
        return Goal.DIRECTORY
    return Goal.APPLICATION if ":" in target and not target.startswith(("/", ".")) else None


def check_goals(given: Iterable[Given], targets: Iterable[str | None]) -> None:
    """Raise UsageError for an option that none of the targets has a use for. What stands in a file or the environment
    may be for another target."""
    goals = {goal_of(target) for target in targets}
    if None in goals:
        return  # there is no such target: that is said first
    for one in given:
        wanted = one.option.goals
        if one.rank is Rank.COMMAND_LINE and wanted and not wanted & goals:
            kinds = [goal for goal in Goal if goal in wanted]
            if len(kinds) == 1:
                raise UsageError(f"{one.name} is for {kinds[0]}")
            raise UsageError(f"{one.name} is for {' or '.join(kind.what for kind in kinds)}: name one as TARGET")


def addresses_of(settings: Settings) -> tuple[str, ...]:
    """Where to listen, as it is written. --host and --port are the short form: of these and --listen, those hold that
    the strongest source gave. What systemd hands over is served besides; then the default is not opened."""
    listen: tuple[str, ...] = settings["listen"]
    short = max(settings.rank("host"), settings.rank("port"))
    handed = (SYSTEMD,) if os.environ.get("LISTEN_PID") == str(os.getpid()) and SYSTEMD not in listen else ()
    if short is Rank.DEFAULT or (listen and settings.rank("listen") > short):
        return handed + listen or (_short(settings),)
    return (*handed, _short(settings), *(listen if settings.rank("listen") == short else ()))


def _short(settings: Settings) -> str:
    """What --host and --port say."""
    host, port = settings["host"], settings["port"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def options_of(settings: Settings, description: str) -> Options:
    """The settings as the process that serves wants them: each of its fields that has an option's name is set."""
    named = {field.name: settings[field.name] for field in fields(Options) if field.name in BY_NAME}
    named |= {
        "dispatch": Dispatch(settings["dispatch"]),
        "listen": addresses_of(settings),
        "limits": limits_of(settings),
        "description": description,
        "tls": tls_of(settings),
        "trusted": trusted_of(settings),
        "xray_token": settings["xray_token"].strip(),
    }
    return Options(**named)
