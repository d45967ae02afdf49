"""Event loops, sockets, TLS, processes: what drives the pure cores."""
