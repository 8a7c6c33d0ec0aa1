"""This package, on the wire of Anthropic's Messages."""

import with_abstractcore

with_abstractcore.PROVIDER = "anthropic"
blocking = with_abstractcore.blocking
awaited = with_abstractcore.awaited
