"""Every machine there is, by name, in the order in which they are best explained."""

from statemachines import (
    connection,
    listener,
    postgres,
    postgres_cancel,
    postgres_slot,
    process,
    upstream,
    wakeup,
    work,
)

TABLES = {
    table.name: table
    for table in (
        connection.TABLE,
        upstream.TABLE,
        postgres.TABLE,
        postgres_slot.TABLE,
        postgres_cancel.TABLE,
        work.TABLE,
        listener.TABLE,
        process.TABLE,
        wakeup.TABLE,
    )
}
