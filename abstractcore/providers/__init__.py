"""Who answers over HTTP: one row for each service."""
