"""The process that a model lives in: one module for each runtime, over one batch of jobs."""
