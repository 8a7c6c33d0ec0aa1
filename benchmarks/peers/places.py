"""Where things stand, and how an adapter is imported: by both sides, so that it imports next to nothing."""

import sys

HERE = __file__.rpartition("/")[0] or "."
ADAPTERS = f"{HERE}/adapters"


def adapter(name: str) -> object:
    """Import the adapter *name*, whose folder must not shadow what the client itself imports."""
    sys.path.insert(0, ADAPTERS)
    return __import__(name)
