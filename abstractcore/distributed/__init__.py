"""Many prompts over many machines: `ray_map` on Ray Data, `dask_map` on Dask.

Each worker makes the LLM for itself, once, and reads the key where it stands.
"""

from __future__ import annotations

from abstractcore.distributed.on_dask import dask_map
from abstractcore.distributed.on_ray import ray_map

__all__ = ["dask_map", "ray_map"]
