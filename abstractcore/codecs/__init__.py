"""Wire formats as pure functions: no sockets, no clocks, no environment."""
