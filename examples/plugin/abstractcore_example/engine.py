"""An engine: the row says which model files it reads and which module runs them, in a process of its own."""

from __future__ import annotations

from abstractcore.plugins import Engine

ENGINE = Engine(
    formats=("gguf",),
    options=("max_batch",),
    packages=(),  # what has to be installed, such as a runtime
    module="abstractcore_example.parrot",
)
