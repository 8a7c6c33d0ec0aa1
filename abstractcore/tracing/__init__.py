"""What a program that has set up OpenTelemetry or logging sees of our work. Neither is imported by us."""
