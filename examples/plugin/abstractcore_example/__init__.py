"""Providers for abstractcore: a template."""
