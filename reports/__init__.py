"""Metric definitions, queries and renderers."""
