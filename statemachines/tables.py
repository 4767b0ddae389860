"""Every machine there is, by name, in the order in which they are best explained."""

from statemachines import (
    connection,
    listener,
    postgres,
    postgres_cancel,
    process,
    slot,
    upstream,
    wakeup,
    work,
)

TABLES = {
    table.name: table
    for table in (
        connection.TABLE,
        upstream.TABLE,
        slot.UPSTREAM,
        postgres.TABLE,
        slot.POSTGRES,
        postgres_cancel.TABLE,
        work.TABLE,
        listener.TABLE,
        process.TABLE,
        wakeup.TABLE,
    )
}
