"""All machines by name, in the order in which they are best explained."""

from clerestory.statemachines import (
    application,
    breaker,
    connection,
    h2_connection,
    h2_stream,
    inquiry,
    lifeline,
    lifespan,
    listener,
    postgres,
    postgres_cancel,
    postgres_reset,
    probe,
    process,
    proxy_protocol,
    resolution,
    slot,
    sources,
    supervisor,
    task,
    tunnel,
    upstream,
    wakeup,
    watchdog,
    websocket,
    work,
    worker,
    wsgi,
)

CLIENTS = ("connection", "h2_connection")
"""The machines that are a client's connection, by name."""

STREAM = "h2_stream"

CARRIERS = (*CLIENTS, STREAM)
"""Those, and the streams that some of them carry: whatever waits for a client, or lets one wait."""

TABLES = {
    table.name: table
    for table in (
        connection.TABLE,
        h2_connection.TABLE,
        h2_stream.TABLE,
        application.TABLE,
        websocket.TABLE,
        lifespan.TABLE,
        wsgi.TABLE,
        upstream.TABLE,
        slot.UPSTREAM,
        tunnel.TABLE,
        resolution.TABLE,
        breaker.TABLE,
        probe.TABLE,
        postgres.TABLE,
        slot.POSTGRES,
        postgres_reset.TABLE,
        postgres_cancel.TABLE,
        work.TABLE,
        task.TABLE,
        listener.TABLE,
        proxy_protocol.TABLE,
        process.TABLE,
        supervisor.TABLE,
        worker.TABLE,
        lifeline.TABLE,
        inquiry.TABLE,
        sources.TABLE,
        wakeup.TABLE,
        watchdog.TABLE,
    )
}
