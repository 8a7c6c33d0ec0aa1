"""Wires that clients speak to the gateway: a request read, an answer written. Pure functions."""
