"""Models in this process: one thread owns each, and everything that touches it."""
