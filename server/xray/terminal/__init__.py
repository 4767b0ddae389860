"""The x-ray in a terminal: `clerestory ps`, `waits`, `top`, `show`, `watch`, `close`, `page`.

    servers     which server: found by its runtime file, or named
    fleet       several servers as one
    client      its endpoints (server.xray.serve.shape), over TCP or a Unix socket
    text        words, widths and colours
    table       machines, one line each
    workers     the workers of a supervisor
    routes      where the time of each route's requests goes
    details     one machine, and its path as a time line
    arguments   what may be written on the command line
    commands    ps, waits, show, close, watch, page
    top         the live view: `frame` draws it, `screen` is the terminal
    main        one command from its words to its exit status

The laws:

- it is a client of the x-ray's HTTP endpoints and of nothing else: it imports nothing that serves, and so it starts
  fast and works while the server does not;
- whatever came over the network or from a client is made printable before a terminal sees it;
- a line fits the terminal; what is cut is the middle of what matters least; what is piped is never cut;
- colour only adds: everything it says is also said in words.
"""

COMMANDS = ("ps", "waits", "top", "show", "watch", "close", "page")
"""The first word of a command line that is ours."""
