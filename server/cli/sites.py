"""Several targets: --mount /PREFIX=TARGET beside TARGET, and the sites of a configuration file.

    [[site]]
    host = "shop.example"           both may be left out: any host, every path
    path = "/api"
    target = "shop:app"
    max-body = "16M"                options of its kind of target, and these limits: max-body, backend-timeout,
    backend-timeout = 3600          handler-total

What a site does not say is as it is for the whole server.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from clerestory.handlers.api.messages import RouteLimits
from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.sites import Site, Sites
from clerestory.handlers.wsgi.application import WSGI
from clerestory.server.cli.assembly import trusted_of
from clerestory.server.cli.edge import PER_SITE, with_edge
from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import BY_NAME
from clerestory.server.cli.settings import Settings, UsageError
from clerestory.server.cli.sources import SITES, from_entry
from clerestory.server.cli.targets import Target
from clerestory.server.cli.values import split_mount

OWN_LIMITS = ("max_body", "backend_timeout", "handler_total")
"""The limits that a site may set for itself."""

_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Plan:
    """A target that is to be served, with the settings that hold for it."""

    settings: Mapping[str, Any]
    prefix: str = ""
    host: str = ""
    limits: RouteLimits | None = None
    max_body: int | None = None

    @property
    def target(self) -> str | None:
        """The word that names it."""
        target: str | None = self.settings["target"]
        return target

    @property
    def place(self) -> str:
        """`shop.example/api`, `/api`, or empty for the whole server."""
        return self.host + self.prefix


def plans_of(settings: Settings) -> list[Plan]:
    """What is to be served: TARGET, what is mounted beside it, and sites. Raises UsageError."""
    plans = [_mount(settings, text) for text in settings["mount"]]
    plans += [_site(settings, site) for site in settings.sites]
    if settings["target"] is not None or not plans:
        plans.insert(0, Plan(settings))
    places = [plan.place for plan in plans]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(f"{place or 'every path'} is served twice: give one of the targets another path or host")
    return plans


def _mount(settings: Settings, text: str) -> Plan:
    prefix, target = split_mount(text)
    return Plan({**settings, "target": target, "root_path": settings["root_path"] + prefix, "prefix": prefix}, prefix)


def _known() -> dict[str, Option]:
    """The options that a site may set."""
    own = ("target", *OWN_LIMITS, *PER_SITE)
    return {name: option for name, option in BY_NAME.items() if option.goals or name in own}


def _site(settings: Settings, site: Mapping[str, Any]) -> Plan:
    where = f"{settings.path}: [[{SITES}]]"
    rest = dict(site)
    host, path = rest.pop("host", ""), rest.pop("path", "")
    if not isinstance(host, str) or (host and not _HOST.fullmatch(host.lower())):
        raise UsageError(f"{where}: host is a name such as shop.example or *.example, not {host!r}")
    if not isinstance(path, str) or (path.rstrip("/") and not path.startswith("/")):
        raise UsageError(f"{where}: path begins with a slash, such as /api, not {path!r}")
    own = {given.option.name: given.value for given in (from_entry(key, rest[key], where, _known()) for key in rest)}
    if "target" not in own:
        raise UsageError(f"{where}: it has no target: write what is served there, such as target = 'shop:app'")
    prefix = unquote(path.rstrip("/"))
    timed = RouteLimits(own.get("backend_timeout"), own.get("handler_total"))
    root = own.get("root_path", settings["root_path"] + prefix)
    return Plan(
        {**settings, **own, "root_path": root, "prefix": prefix},
        prefix,
        host.lower(),
        timed if timed != RouteLimits() else None,
        own.get("max_body"),
    )


def serve_all(plans: list[Plan], resolve: Callable[[Mapping[str, Any]], Target]) -> Target:
    """One target of all: `resolve` makes each. Raises UsageError, and what `resolve` raises."""
    if len(plans) == 1 and not plans[0].place and plans[0].limits is None and plans[0].max_body is None:
        only = resolve(plans[0].settings)
        return replace(only, application=_fronted(only.application, plans[0]))
    with ExitStack() as undo:
        targets = []
        for plan in plans:
            targets.append(resolve(plan.settings))
            undo.callback(targets[-1].close)
        hosted = [one for one in targets if isinstance(one.application, ASGI | WSGI)]
        if len(hosted) > 1:
            named = " and ".join(one.description for one in hosted)
            raise UsageError(
                f"one ASGI or WSGI application is served by a process, and these are {named}: run one of them as a "
                "server of its own, and mount its http:// address"
            )
        sites = Sites(
            Site(_edged(target.application, plan), plan.prefix, plan.host, plan.limits, plan.max_body)
            for plan, target in zip(plans, targets, strict=True)
        )
        whole: Any = sites
        if hosted:
            whole = hosted[0].application
            whole.front = sites
        told = [
            f"{target.description} at {plan.place}" if plan.place else target.description
            for plan, target in zip(plans, targets, strict=True)
        ]
        return Target(whole, "; ".join(told), undo.pop_all().close)


def _fronted(application: Any, plan: Plan) -> Any:
    """An application that is all there is, with its edge: a hosted one stays what the process hosts."""
    edged = _edged(application, plan)
    if edged is not application and isinstance(application, ASGI | WSGI):
        application.front = edged
        return application
    return edged


def _edged(application: Any, plan: Plan) -> Any:
    return with_edge(application, plan.settings, trusted_of(plan.settings))
