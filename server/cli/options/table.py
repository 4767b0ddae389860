"""The table of options: all of them, in the order in which the help lists them.

To add one, add it to a tuple of its group; a limit or deadline is a field of `server.config.Limits`. A field of
`server.options.Options` with an option's name is set from it. Then write docs/configuration.md anew
(server.cli.reference).
"""

from collections.abc import Iterable

from clerestory.server.cli.options.bounds import OPTIONS_OF_LIMITS
from clerestory.server.cli.options.edge import EDGE_OPTIONS
from clerestory.server.cli.options.option import Group, Option
from clerestory.server.cli.options.running import (
    CONFIGURATION_OPTIONS,
    ENGINE_OPTIONS,
    LISTENING_OPTIONS,
    LOG_OPTIONS,
    PROCESS_OPTIONS,
    XRAY_OPTIONS,
)
from clerestory.server.cli.options.serving import SERVING_OPTIONS
from clerestory.server.cli.options.tls import HTTP2_OPTIONS, TLS_OPTIONS

TABLE = (
    *SERVING_OPTIONS,
    *LISTENING_OPTIONS,
    *TLS_OPTIONS,
    *EDGE_OPTIONS,
    *HTTP2_OPTIONS,
    *PROCESS_OPTIONS,
    *XRAY_OPTIONS,
    *LOG_OPTIONS,
    *CONFIGURATION_OPTIONS,
    *OPTIONS_OF_LIMITS,
    *ENGINE_OPTIONS,
)

BY_NAME = {option.name: option for option in TABLE}
GROUPS: dict[str, Group] = {option.group.name: option.group for option in TABLE}


def in_group(group: Group, table: Iterable[Option] = TABLE) -> list[Option]:
    """The options of a group, in their order."""
    return [option for option in table if option.group is group]
