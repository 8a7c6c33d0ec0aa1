"""The only rooms that touch sockets, clocks, threads and event loops."""
