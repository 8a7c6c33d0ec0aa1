"""Agents and workflows: what has `run`, in both colours; the awaited faces stand in `aio`."""
