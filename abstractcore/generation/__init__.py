"""The work itself: one answer, its retries, its history; written once for both surfaces."""
